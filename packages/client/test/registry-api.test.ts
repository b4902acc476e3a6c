import { inspect } from 'node:util';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { RegistryApi } from '../src/registry-api.js';
import { RegistryConnection } from '../src/registry-connection.js';

const BIN = fileURLToPath(new URL('../../registry/bin/membrane-registry.js', import.meta.url));

describe('with a registry', () => {
  let child: ChildProcess;
  let connection: RegistryConnection;
  let api: RegistryApi;

  beforeAll(async () => {
    const registry = spawn(process.execPath, [BIN, '--port', '0', '--data', ':memory:'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = registry;
    const [line] = (await once(createInterface({ input: registry.stdout }), 'line')) as [string];
    connection = new RegistryConnection({
      urls: [(JSON.parse(line) as { url: string }).url],
      holdsProcess: true,
    });
    api = new RegistryApi(connection, { namespace: 'tests', timeoutMs: 10_000 });
  });

  afterAll(async () => {
    connection.close();
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  it('registers, renews, finds, lists and leaves in camelCase', async () => {
    const leaseToken = 'a-token-of-32-characters-or-more';
    const lease = await api.register({
      id: 'oven',
      endpoint: 'http://oven',
      communicationMode: 'network',
      metadata: { some_key: { camelCase: 1, snake_case: 2 } },
      heartbeatIntervalMs: 5_000,
      leaseToken,
    });
    expect(lease).toMatchObject({
      namespace: 'tests',
      unhealthyAfterMs: 10_000,
      expiresAfterMs: 25_000,
      leaseToken,
    });
    await api.heartbeat({ id: 'oven', leaseToken });
    const batch = { leaseToken, heartbeats: [{ id: 'oven' }, { id: 'nobody' }] };
    expect(await api.heartbeatBatch(batch)).toMatchObject({
      renewed: 1,
      failed: [{ index: 1, code: 'not_registered' }],
    });
    const found = await api.discover('oven');
    expect(found?.metadata).toEqual({ some_key: { camelCase: 1, snake_case: 2 } });
    expect(found?.instances.map(({ instanceId }) => instanceId)).toEqual(['default']);
    expect(
      await api.listMembranes({ parent: null, communicationMode: 'network', status: 'active' }),
    ).toHaveLength(1);
    expect(await api.listMembranes({ metadata: { zone: 'a' } })).toEqual([]);
    expect((await api.events({ membrane: 'oven' })).map(({ event }) => event)).toEqual(['registered']);
    const { revision, events } = await api.journal({ membrane: 'oven', since: 0 });
    expect(revision).toMatch(/^[\w-]+:\d+$/);
    expect(events).toMatchObject([{ event: 'registered', id: 'oven' }]);
    expect((await api.status()).membraneCount).toBe(1);
    await api.deregister({ id: 'oven', leaseToken });
    expect(await api.discover('oven')).toBeUndefined();
  });

  it('walks through all pages', async () => {
    const ids = Array.from({ length: 1_203 }, (_, index) => `member-${index}`);
    await Promise.all(ids.map((id) => api.register({ id, endpoint: 'x', communicationMode: 'ipc' })));
    const seen: string[] = [];
    for await (const { id } of api.iterateMembranes({ communicationMode: 'ipc' })) seen.push(id);
    expect(seen.sort()).toEqual(ids.sort());
  });

  it('leaves messages in a mailbox, collects them, says what became of them, and puts back what died', async () => {
    const leaseToken = 'a-token-of-32-characters-or-more';
    await api.register({ id: 'sink', endpoint: 'x', communicationMode: 'ipc', leaseToken });
    const envelope = {
      id: 'one',
      sender: 'tap',
      target: 'sink',
      payload: { some_key: 1 },
      correlation_id: 'zero',
      ttl_ms: 60_000,
    };
    expect(await api.postMessage(envelope)).toEqual({ success: true, messageId: 'one', queued: true });
    const [item] = await api.collectMessages({ id: 'sink', leaseToken });
    // Envelopes pass as they are.
    expect(item?.envelope).toMatchObject({
      payload: { some_key: 1 },
      correlation_id: 'zero',
      namespace: 'tests',
    });
    const acks = [
      { receipt: item?.receipt ?? '', outcome: 'failed' as const, reason: 'blocked' },
      { receipt: 'void', outcome: 'processed' as const },
    ];
    expect(await api.ackMessages({ id: 'sink', acks, leaseToken })).toEqual({
      success: true,
      unknown: ['void'],
    });
    expect(await api.deadLetters({ id: 'sink', limit: 1 })).toMatchObject([
      { messageId: 'one', code: 'handler_failed', reason: 'blocked', envelope: { correlation_id: 'zero' } },
    ]);
    const requeue = { id: 'sink', action: 'requeue' as const, messageIds: ['one', 'two'], ttlMs: 1_000 };
    expect(await api.changeDeadLetters(requeue)).toEqual({ success: true, changed: 1, unknown: ['two'] });
    expect(await api.collectMessages({ id: 'sink', leaseToken, instanceId: 'default', max: 1 })).toHaveLength(
      1,
    );
  });

  it('waits for messages longer than a call may take, with any number of others', async () => {
    const patient = new RegistryApi(connection, { namespace: 'tests', timeoutMs: 300 });
    await api.register({ id: 'patient', endpoint: 'x', communicationMode: 'ipc' });
    const gone = new AbortController();
    // More than a connection has sockets for other calls.
    const others = Array.from({ length: 70 }, () =>
      patient.collectMessages(
        { id: 'patient', waitMs: 60_000, instanceId: 'default' },
        { signal: gone.signal },
      ),
    );
    const ended = Promise.allSettled(others);
    expect(await patient.collectMessages({ id: 'patient', waitMs: 600 })).toEqual([]);
    expect((await patient.status()).membraneCount).toBeGreaterThan(0);
    gone.abort(new Error('enough'));
    expect((await ended).every(({ status }) => status === 'rejected')).toBe(true);
  });

  it('rejects with what the mailbox says', async () => {
    const toNobody = { sender: 'tap', target: 'nobody', payload: 1 };
    await expect(api.postMessage(toNobody)).rejects.toMatchObject({ code: 'not_found' });
    await expect(api.postMessage({ sender: 'tap', payload: 1 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await expect(api.collectMessages({ id: 'nobody' })).rejects.toMatchObject({ code: 'not_registered' });
  });

  it("rejects with the registry's own code and words", async () => {
    await expect(api.register({ id: 'a b', endpoint: 'x', communicationMode: 'ipc' })).rejects.toMatchObject({
      name: 'MembraneError',
      code: 'invalid_request',
      details: { errors: [{ path: 'id' }] },
    });
    await expect(api.heartbeat({ id: 'nobody' })).rejects.toMatchObject({
      code: 'not_registered',
      retryable: false,
    });
  });
});

describe('with something else', () => {
  let server: Server | undefined;
  let connection: RegistryConnection;

  async function serve(listener: RequestListener, timeoutMs = 300): Promise<RegistryApi> {
    server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    connection = new RegistryConnection({ urls: [`http://127.0.0.1:${port}`], holdsProcess: true });
    return new RegistryApi(connection, { namespace: 'tests', timeoutMs });
  }

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  it('says that nobody is there, where, and why', async () => {
    const api = await serve(() => undefined);
    server?.close();
    await once(server ?? process, 'close');
    const error: unknown = await api.status().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'registry_unreachable',
      retryable: true,
      cause: { code: 'ECONNREFUSED' },
    });
    expect(String(error)).toContain(`no registry answers at ${api.url} (ECONNREFUSED)`);
  });

  it('does not take pages of two registries for one list', async () => {
    const api = await serve((request, response) => {
      const isSecond = request.url?.includes('cursor=') === true;
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-membrane-revision': isSecond ? 'b:7' : 'a:7',
        ...(isSecond ? {} : { 'x-membrane-next-cursor': '1.1' }),
      });
      response.end('[]');
    });
    const read = async (): Promise<void> => {
      for await (const page of (await api.snapshot()).pages) expect(page).toEqual([]);
    };
    await expect(read()).rejects.toMatchObject({
      code: 'registry_unreachable',
      message: 'the registry changed while its list was read',
    });
  });

  it('tells a path where no registry is from a membrane that is not there', async () => {
    const api = await serve((_, response) => {
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({ status: 404, code: 'not_found', detail: 'there is no /foo', success: false }),
      );
    });
    await expect(api.discover('oven')).rejects.toMatchObject({
      code: 'registry_unreachable',
      message: expect.stringContaining('is no Membrane registry') as string,
    });
  });

  it('shows nobody the lease token, wherever its errors are printed', async () => {
    const api = await serve(() => undefined);
    server?.close();
    await once(server ?? process, 'close');
    const leaseToken = 'a-secret-of-the-process';
    const error: unknown = await api.heartbeat({ id: 'oven', leaseToken }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'registry_unreachable', cause: { code: 'ECONNREFUSED' } });
    expect(inspect(error, { depth: 10 })).not.toContain(leaseToken);
  });

  it('gives up on a registry that does not answer', async () => {
    const api = await serve(() => undefined);
    await expect(api.status()).rejects.toMatchObject({ code: 'registry_unreachable' });
  });

  it('has the time of one call for a connection that breaks and the one after it', async () => {
    let requests = 0;
    const api = await serve((request) => {
      requests += 1;
      setTimeout(() => request.socket.resetAndDestroy(), 500);
    }, 600);
    const startMs = performance.now();
    await expect(api.status()).rejects.toThrow('no answer within 600 ms');
    expect(performance.now() - startMs).toBeLessThan(850);
    expect(requests).toBe(2);
  });

  it('ends what is under way when it is closed, and begins nothing', async () => {
    const api = await serve(() => undefined, 30_000);
    const waiting = Promise.allSettled([api.status(), api.discover('x')]);
    await once(server ?? process, 'request');
    const startMs = performance.now();
    connection.close();
    const closed = { code: 'client_closed', message: 'this client was closed' };
    expect(await waiting).toMatchObject([{ reason: closed }, { reason: closed }]);
    expect(performance.now() - startMs).toBeLessThan(5_000);
    await expect(api.status()).rejects.toMatchObject(closed);
  });

  it('stops waiting when it is told to', async () => {
    const api = await serve(() => undefined);
    const controller = new AbortController();
    const waiting = api.status({ signal: controller.signal });
    controller.abort(new Error('never mind'));
    await expect(waiting).rejects.toThrow('never mind');
  });

  it.each([
    ['a page', 200, 'text/html', '<h1>Welcome</h1>'],
    ['an error page', 502, 'text/html', '<h1>Bad gateway</h1>'],
    ['an object that tells nothing', 200, 'application/json', '{"ok":true}'],
    ['nothing, as JSON', 200, 'application/json', 'null'],
    ['other JSON', 404, 'application/json', '{"error":"no"}'],
  ])('tells %s from a registry', async (_, status, type, body) => {
    const api = await serve((_request, response) =>
      response.writeHead(status, { 'content-type': type }).end(body),
    );
    await expect(api.status()).rejects.toThrow(
      /is no Membrane registry: it answered \/status with status \d+/,
    );
    await expect(api.listMembranes()).rejects.toThrow('is no Membrane registry');
    await expect(api.discover('x')).rejects.toThrow('is no Membrane registry');
  });

  it('passes on how long to wait', async () => {
    const problem = {
      type: 'x',
      title: 'x',
      status: 503,
      detail: 'loading',
      code: 'not_ready',
      success: false,
    };
    const api = await serve((_request, response) =>
      response
        .writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '2' })
        .end(JSON.stringify(problem)),
    );
    await expect(api.status()).rejects.toMatchObject({
      code: 'not_ready',
      retryable: true,
      details: { retryAfterMs: 2_000 },
    });
  });
});
