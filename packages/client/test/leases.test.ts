import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createNamespaceClient } from '../src/namespace-client.js';
import { AT, useClients } from './support/clients.js';
import { eventually } from './support/eventually.js';
import { useProcesses } from './support/processes.js';
import { useProxies } from './support/proxy.js';
import { idsAt } from './support/registry-view.js';
import { withSmallDisk } from './support/small-disk.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const { start, startRegistry } = useProcesses();
const createClient = useClients();
const createProxy = useProxies();
const makeDirectory = useTemporaryDirectories();

const FIXTURE = new URL('fixtures/member.mjs', import.meta.url).pathname;

describe('a registration', () => {
  it('is made, renewed, changed and ended', async () => {
    const { url } = await startRegistry();
    const { client, events, renewals } = createClient('oven', { registryUrl: url, parent: 'house' });
    const lease = await client.register({ ...AT, metadata: { heat: 1 } });
    expect(lease).toMatchObject({
      id: 'oven',
      parent: 'house',
      heartbeatIntervalMs: 250,
      expiresAfterMs: 1_250,
    });
    expect(lease).not.toHaveProperty('leaseToken');
    await eventually('it was renewed twice', () => renewals() >= 2);
    expect(await client.register({ ...AT, metadata: { heat: 2 } })).toMatchObject({
      incarnation: lease.incarnation,
    });
    expect(await client.discover('oven')).toMatchObject({
      metadata: { heat: 2 },
      communicationMode: 'network',
      status: 'active',
      incarnation: lease.incarnation,
    });
    const status = await client.status();
    expect(status).toMatchObject({ state: 'held', lease: { id: 'oven' }, membrane: { id: 'oven' } });
    expect(status.lease?.ageMs).toBeLessThan(5_000);
    await client.deregister();
    expect(await client.discover('oven')).toBeUndefined();
    expect((await client.status()).state).toBe('unregistered');
    expect(events).toEqual(['registered', 'registered']);
    await expect(client.heartbeat()).rejects.toMatchObject({ code: 'not_registered' });
    await client.deregister();
    await client.register(AT);
    await client.heartbeat();
    await client.close();
    expect(await idsAt(url)).toEqual([]);
    await expect(client.register()).rejects.toMatchObject({ code: 'client_closed' });
    await expect(client.discover('oven')).rejects.toMatchObject({ code: 'client_closed' });
  });

  it('that was never made cannot be ended', async () => {
    const { url } = await startRegistry();
    const { client } = createClient('oven', { registryUrl: url });
    await expect(client.deregister()).rejects.toMatchObject({ code: 'not_registered' });
  });

  it('is refused where the registry refuses it, and nothing is kept', async () => {
    const { url } = await startRegistry();
    const { client, events } = createClient('oven', { registryUrl: url });
    await expect(client.register({ ...AT, parent: 'oven' })).rejects.toMatchObject({ code: 'cycle' });
    const mute = createClient('mute', { registryUrl: url, receive: false });
    await expect(mute.client.register({ communicationMode: 'network' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('endpoint must be given with the mode "network"') as string,
    });
    await expect(mute.client.register({ communicationMode: 'ipc' })).rejects.toThrow('as "/run/oven.sock"');
    expect((await client.status()).state).toBe('unregistered');
    expect(events).toEqual([]);
  });

  it('of metadata that is no JSON is refused in words', async () => {
    const { url } = await startRegistry();
    const { client } = createClient('oven', { registryUrl: url });
    const circle: Record<string, unknown> = {};
    circle['own'] = circle;
    for (const metadata of [{ a: 1n }, circle]) {
      await expect(
        client.register({ ...AT, metadata: metadata as never, retry: true }),
      ).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(/^metadata must/) as string,
      });
    }
  });

  it('that is to be changed while the registry is away is changed when it is back, where that is asked for', async () => {
    const registry = await startRegistry();
    const { client } = createClient('oven', { registryUrl: registry.url });
    await client.register(AT);
    await registry.kill();
    const changed = client.register({ endpoint: 'http://127.0.0.1:2', retry: true });
    await expect(client.register({ endpoint: 'http://127.0.0.1:3' })).rejects.toMatchObject({
      code: 'registry_unreachable',
    });
    await startRegistry({ port: registry.port });
    await changed;
    await eventually('it is changed', async () => {
      return (await client.discover('oven'))?.endpoint === 'http://127.0.0.1:2';
    });
  });

  it('has an inbox on the shared volume, one for each namespace, unless it says otherwise', async () => {
    const { url } = await startRegistry();
    const sharedRoot = await makeDirectory();
    const { client } = createClient('oven', { registryUrl: url, sharedRoot });
    await client.register();
    expect(await client.discover('oven')).toMatchObject({
      communicationMode: 'shared-volume',
      endpoint: `${sharedRoot}/inbox/oven`,
    });
    const other = createClient('oven', { registryUrl: url, sharedRoot, namespace: 'cellar' });
    await other.client.register();
    expect((await other.client.discover('oven'))?.endpoint).toBe(
      `${sharedRoot}/namespaces/cellar/inbox/oven`,
    );
    const lost = createClient('lost', {
      registryUrl: url,
      sharedRoot: '/dev/null/x',
      modes: ['shared-volume'],
    });
    await expect(lost.client.register()).rejects.toThrow(
      'the inbox /dev/null/x/inbox/lost cannot be made (ENOTDIR',
    );
  });

  it('of many clients of one process takes one request a period', async () => {
    const registry = await startRegistry();
    const proxy = await createProxy(registry.port);
    const options = { registryUrl: proxy.url, heartbeatIntervalMs: 1_000 };
    const members = Array.from({ length: 300 }, (_, index) =>
      createClient(`member-${index}`, {
        ...options,
        namespace: `n-${index % 3}`,
        instanceId: `i-${index % 2}`,
      }),
    );
    await Promise.all(members.map(({ client }) => client.register(AT)));
    const startMs = performance.now();
    const before = proxy.requests('/heartbeat');
    await eventually('all were renewed three times', () => members.every(({ renewals }) => renewals() >= 3));
    const periods = (performance.now() - startMs) / 900;
    const sent = proxy.requests('/heartbeat') - before;
    expect(sent).toBeGreaterThanOrEqual(3);
    expect(sent).toBeLessThanOrEqual(Math.ceil(periods) + 1);
    expect(members.every(({ events }) => events.length === 1)).toBe(true);
  });

  it('is called off by an abort, by deregister and by close', async () => {
    const nobody = { registryUrl: 'http://127.0.0.1:9' };
    const { client } = createClient('oven', nobody);
    const controller = new AbortController();
    const aborted = client.register({ ...AT, retry: true, signal: controller.signal });
    controller.abort(new Error('never mind'));
    await expect(aborted).rejects.toThrow('never mind');
    await expect(client.register({ ...AT, signal: controller.signal })).rejects.toThrow('never mind');

    const left = client.register({ ...AT, retry: true });
    await expect(Promise.all([left, client.deregister().catch(() => undefined)])).rejects.toMatchObject({
      code: 'client_closed',
      message: 'the registration was called off',
    });
    const closed = client.register({ ...AT, retry: true });
    await Promise.all([expect(closed).rejects.toMatchObject({ code: 'client_closed' }), client.close()]);
  });

  it('lets the process live as long as it lasts, and end after close()', async () => {
    const { url } = await startRegistry();
    const { child, ended, said } = start(process.execPath, [FIXTURE, url, 'oven']);
    await eventually('it was renewed 20 times', () => said.stdout.split('leaseRenewed').length > 20);
    expect(child.exitCode).toBeNull();
    child.stdin?.write('close\n');
    expect(await ended).toBe(0);
    // Such as a warning that listeners pile up.
    expect(said.stderr).toBe('');
    expect(await idsAt(url)).toEqual([]);
  });
});

describe('the registry', () => {
  it('goes and comes back with its data: the lease goes on', async () => {
    const data = await makeDirectory();
    const registry = await startRegistry({ data });
    const { client, events, renewals } = createClient('oven', { registryUrl: registry.url });
    const { incarnation } = await client.register(AT);
    await registry.kill();
    await eventually('it is told', () => events.includes('registryUnreachable'));
    // For so long that the name may be free: five intervals.
    await eventually('it is told', () => events.includes('leaseLost'));
    expect((await client.status()).state).toBe('lapsed');
    await startRegistry({ data, port: registry.port });
    const before = renewals();
    await eventually('it is renewed', () => renewals() > before);
    expect(events).toEqual(['registered', 'registryUnreachable', 'leaseLost', 'registryReachable']);
    expect(await client.discover('oven')).toMatchObject({ incarnation, status: 'active' });
    expect((await client.status()).state).toBe('held');
  });

  it('comes back without its data: everybody registers again by themselves', async () => {
    const registry = await startRegistry();
    const { client, events } = createClient('oven', { registryUrl: registry.url });
    await client.register({ ...AT, metadata: { heat: 3 } });
    await registry.kill();
    await startRegistry({ port: registry.port });
    await eventually('it is registered again', async () => (await client.discover('oven')) !== undefined);
    expect(await client.discover('oven')).toMatchObject({ metadata: { heat: 3 } });
    expect(events.at(-1)).toBe('registered');
    expect(events.filter((name) => name === 'leaseLost')).toHaveLength(1);
  });

  it('is away at first: a registration with patience is made when it comes', async () => {
    const registry = await startRegistry();
    await registry.kill();
    const { client, events } = createClient('oven', { registryUrl: registry.url });
    await expect(client.register(AT)).rejects.toMatchObject({
      code: 'registry_unreachable',
      cause: { code: 'ECONNREFUSED' },
    });
    const registered = client.register({ ...AT, retry: true });
    await eventually('it is told', () => events.includes('registryUnreachable'));
    expect((await client.status()).state).toBe('registering');
    await startRegistry({ port: registry.port });
    expect(await registered).toMatchObject({ id: 'oven' });
    expect(events).toEqual(['registryUnreachable', 'registered', 'registryReachable']);
  });

  it('loses an answer after it did what it was asked: it is done once', async () => {
    const registry = await startRegistry();
    const proxy = await createProxy(registry.port);
    const { client, events } = createClient('oven', { registryUrl: proxy.url });
    proxy.loseNextAnswer();
    const { incarnation } = await client.register(AT);
    expect(proxy.requests('/register')).toBe(2);
    expect(await client.registry.events({ membrane: 'oven' })).toMatchObject([
      { event: 'registered', revision: incarnation },
    ]);
    proxy.loseNextAnswer();
    await client.heartbeat();
    proxy.loseNextAnswer();
    await client.deregister();
    expect(await client.discover('oven')).toBeUndefined();
    expect(events).toEqual(['registered']);
  });

  it('is slow: the lease is kept', async () => {
    const registry = await startRegistry();
    const proxy = await createProxy(registry.port);
    const { client, events, renewals } = createClient('oven', { registryUrl: proxy.url });
    await client.register(AT);
    proxy.delayMs = 400;
    const before = renewals();
    await eventually('it was renewed thrice', () => renewals() > before + 3);
    expect(events).toEqual(['registered']);
  });

  it(
    'has a full disk: leases are kept, and a registration with patience is made when it has room',
    () =>
      withSmallDisk(async (data) => {
        const { url } = await startRegistry({ data });
        const held = createClient('oven', { registryUrl: url });
        await held.client.register(AT);
        const filler = join(data, 'filler');
        await writeFile(filler, Buffer.alloc(8 * 1024 * 1024)).catch(() => undefined);
        const metadata = { pad: 'x'.repeat(10_000) };
        const refused = await eventually('a registration is refused', async () => {
          try {
            await createClient('filler', { registryUrl: url }).client.register({ ...AT, metadata });
            return undefined;
          } catch (error) {
            return error as Error;
          }
        });
        expect(refused).toMatchObject({ code: 'store_unavailable', retryable: true });
        const patient = createClient('lamp', { registryUrl: url });
        const registered = patient.client.register({ ...AT, metadata, retry: true });
        const reasons: unknown[] = [];
        patient.client.on('registrationFailed', ({ error, willRetry }) =>
          reasons.push(error.code, willRetry),
        );
        await eventually('it is told', () => reasons.length > 0);
        const before = held.renewals();
        await eventually('the other is renewed', () => held.renewals() > before + 5);
        await rm(filler);
        expect(await registered).toMatchObject({ id: 'lamp' });
        expect(reasons.slice(0, 2)).toEqual(['store_unavailable', true]);
        expect(held.events).toEqual(['registered']);
      }),
    30_000,
  );

  it('hangs: the lease is kept, for the stall is its own', async () => {
    const registry = await startRegistry();
    const { client, events, renewals } = createClient('oven', { registryUrl: registry.url });
    const { incarnation } = await client.register(AT);
    registry.child.kill('SIGSTOP');
    await eventually('it is told', () => events.includes('leaseLost'));
    registry.child.kill('SIGCONT');
    const before = renewals();
    await eventually('it is renewed', () => renewals() > before);
    expect(await client.discover('oven')).toMatchObject({ incarnation });
    expect(events.filter((name) => name === 'registered')).toHaveLength(1);
  });

  it('fails, and another one of the list takes its place', async () => {
    const first = await startRegistry();
    const second = await startRegistry();
    const { client, events } = createClient('oven', { registryUrl: [first.url, second.url] });
    await client.register(AT);
    expect(client.registry.url).toBe(first.url);
    await first.kill();
    await eventually(
      'it is registered at the other',
      () => events.includes('leaseLost') && events.at(-1) === 'registered',
    );
    expect(await client.discover('oven')).toMatchObject({ id: 'oven' });
    expect(client.registry.url).toBe(second.url);
    // Never out of reach: there was always one that answered.
    expect(events).toEqual(['registered', 'leaseLost', 'registered']);
  });
});

describe('a name', () => {
  it('is taken over by a newer process: the older one is told, and stays out', async () => {
    const { url } = await startRegistry();
    const { client, events } = createClient('oven', { registryUrl: url });
    await client.register(AT);
    const newer = start(process.execPath, [FIXTURE, url, 'oven']);
    await eventually('the older is told', () => events.includes('superseded'));
    expect((await client.status()).state).toBe('superseded');
    await expect(client.register(AT)).rejects.toMatchObject({ code: 'superseded' });
    await expect(client.heartbeat()).rejects.toMatchObject({ code: 'superseded' });
    await client.close();
    const before = newer.said.stdout.length;
    await eventually('the newer is renewed', () => newer.said.stdout.length > before);
    expect(newer.said.stdout).not.toContain('superseded');
    expect(await idsAt(url)).toEqual(['oven']);
    expect(events).toEqual(['registered', 'superseded']);
  });

  it('is taken over by another client of the same process', async () => {
    const { url } = await startRegistry();
    const older = createClient('oven', { registryUrl: url });
    await older.client.register(AT);
    const newer = createClient('oven', { registryUrl: url });
    await newer.client.register(AT);
    expect(older.events).toEqual(['registered', 'superseded']);
    await older.client.close();
    expect(await idsAt(url)).toEqual(['oven']);
  });

  it('is removed by an operator: its holder is told, and stops', async () => {
    const { url } = await startRegistry();
    const { client, events } = createClient('oven', { registryUrl: url });
    await client.register(AT);
    const operator = createNamespaceClient('oven', {
      registryUrl: url,
      leaseToken: 'the token of an operator'.replaceAll(' ', '-'),
    });
    await expect(operator.deregister()).rejects.toMatchObject({ code: 'superseded' });
    await operator.deregister({ force: true });
    await operator.close();
    await eventually('it is told', () => events.includes('removed'));
    expect((await client.status()).state).toBe('removed');
    await expect(client.register(AT)).rejects.toMatchObject({ code: 'removed' });
    expect(await idsAt(url)).toEqual([]);
  });

  it('is lost while its process is suspended, and got back after', async () => {
    const { url } = await startRegistry();
    const { child, said } = start(process.execPath, [FIXTURE, url, 'oven']);
    await eventually('it is registered', () => said.stdout.includes('registered'));
    child.kill('SIGSTOP');
    await eventually('it is gone', async () => !(await idsAt(url)).includes('oven'));
    child.kill('SIGCONT');
    // "expired" where a heartbeat was on its way meanwhile: its time is over before the answer is read.
    await eventually('it is told', () =>
      /leaseLost (not_registered|expired)\n[^]*registered \n[^]*leaseRenewed/.test(said.stdout),
    );
    expect(said.stdout.match(/leaseLost/g)).toHaveLength(1);
    expect(await idsAt(url)).toEqual(['oven']);
  });
});

describe('a listener that throws', () => {
  it('shows as an uncaught exception, and stops no heartbeat', async () => {
    const { url } = await startRegistry();
    const { said } = start(process.execPath, [FIXTURE, url, 'oven', 'throw']);
    await eventually('it goes on', () => said.stdout.split('uncaught: listener').length > 3);
    expect(await idsAt(url)).toEqual(['oven']);
  });
});
