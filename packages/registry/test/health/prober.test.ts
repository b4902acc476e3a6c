import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import type { LookupAddress } from 'node:dns';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { AddressRules } from '../../src/health/address-rules.js';
import { NameLookup, type ResolveName } from '../../src/health/name-lookup.js';
import { ProbePolicy } from '../../src/health/probe-policy.js';
import { Prober, type ProbeOutcome } from '../../src/health/prober.js';
import { eventually } from '../support/eventually.js';

const opened: { server: Server; sockets: Set<Socket> }[] = [];

afterEach(async () => {
  for (const { server, sockets } of opened.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
});

interface Listening {
  readonly port: number;
  readonly url: string;
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections there were. */
  readonly count: () => number;
}

async function listen(server: Server, host = '127.0.0.1'): Promise<Listening> {
  const sockets = new Set<Socket>();
  let count = 0;
  server.on('connection', (socket: Socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  opened.push({ server, sockets });
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://${host}:${port}/health`, sockets, count: () => count };
}

const serve = (listener: RequestListener): Promise<Listening> => listen(createHttpServer(listener));
const serveRaw = (onSocket: (socket: Socket) => void): Promise<Listening> =>
  listen(createTcpServer((socket) => onSocket(socket.resume())));

interface ProberTestOptions {
  readonly rules?: readonly string[];
  readonly timeoutMs?: number;
  readonly resolve?: ResolveName;
  readonly ownPort?: number;
}

function createProber({
  rules = ['loopback'],
  timeoutMs = 10_000,
  resolve,
  ownPort,
}: ProberTestOptions): Prober {
  return new Prober({
    policy: new ProbePolicy({
      rules: new AddressRules(rules),
      ownPort: () => ownPort,
      ownAddresses: () => ['192.0.2.10'],
    }),
    names: new NameLookup(resolve),
    timeoutMs,
  });
}

const probe = (url: string, options: ProberTestOptions = {}): Promise<ProbeOutcome> =>
  createProber(options).probe(url, new AbortController().signal);

const at = (...addresses: string[]): readonly LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

describe('a probe', () => {
  it.each([200, 204, 299])('passes with %d', async (status) => {
    const seen: unknown[] = [];
    const { url, sockets } = await serve((request, response) => {
      seen.push([request.method, request.url, request.headers['user-agent'], request.headers.connection]);
      response.writeHead(status).end();
    });
    expect(await probe(`${url}?deep=1#part`)).toEqual({ kind: 'passed' });
    expect(seen).toEqual([
      ['GET', '/health?deep=1', expect.stringMatching(/^membrane-registry\/\d/), 'close'],
    ]);
    await eventually('the connection is closed', () => sockets.size === 0);
  });

  it.each([
    [400, 'it answered 400'],
    [404, 'it answered 404'],
    [500, 'it answered 500'],
    [503, 'it answered 503'],
    [304, 'it answered 304, and redirects are not followed'],
  ])('fails with %d', async (status, reason) => {
    const { url } = await serve((_, response) => response.writeHead(status).end());
    expect(await probe(url)).toEqual({ kind: 'failed', reason });
  });

  it('follows no redirect, neither to a metadata service nor to anywhere', async () => {
    const inner = await serve((_, response) => response.end('secret'));
    for (const location of ['http://169.254.169.254/latest/meta-data', inner.url, '/elsewhere']) {
      let requests = 0;
      const { url } = await serve((_, response) => {
        requests += 1;
        response.writeHead(302, { location }).end();
      });
      expect(await probe(url)).toEqual({
        kind: 'failed',
        reason: 'it answered 302, and redirects are not followed',
      });
      expect(requests).toBe(1);
    }
    expect(inner.count()).toBe(0);
  });

  it('passes with a body that has no end, of which it reads the beginning', async () => {
    let written = 0;
    const { url, sockets } = await serve((_, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384))) written += 16_384;
      };
      response.on('drain', pour);
      pour();
    });
    expect(await probe(url)).toEqual({ kind: 'passed' });
    await eventually('the connection is closed', () => sockets.size === 0);
    // What buffers hold on the way, beside what it read.
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  const LATE = { kind: 'failed', reason: 'no whole answer within 200 ms' };

  it.each<[string, (socket: Socket) => void]>([
    ['nothing', () => undefined],
    ['half a head', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-')],
    ['half a body', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')],
    ['endless interim answers', (socket) => socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(10))],
  ])('fails where the answer is %s for too long, and leaves no connection', async (_, onSocket) => {
    const { url, sockets } = await serveRaw(onSocket);
    expect(await probe(url, { timeoutMs: 200 })).toEqual(LATE);
    await eventually('the connection is closed', () => sockets.size === 0);
  });

  it('passes where the answer is slow, but in time', async () => {
    const { url } = await serve((_, response) => {
      setTimeout(() => response.end('ok'), 100);
    });
    expect(await probe(url)).toEqual({ kind: 'passed' });
  });

  it('passes where the answer came in time, and this process was held up', async () => {
    const code = `require('node:http').createServer((_, response) => {
      console.log('asked');
      setTimeout(() => response.end('ok'), 100);
    }).listen(0, '127.0.0.1', function () { console.log(String(this.address().port)); });`;
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const lines = on(createInterface({ input: child.stdout }), 'line');
      const nextLine = async (): Promise<string> => String((await lines.next()).value);
      const port = await nextLine();
      const timeoutMs = 4_000;
      const probing = probe(`http://127.0.0.1:${port}/`, { timeoutMs });
      // Where this machine is so busy that nobody was asked in time, that is said at once.
      expect(await Promise.race([nextLine(), probing])).toBe('asked');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeoutMs + 500);
      expect(await probing).toEqual({ kind: 'passed' });
    } finally {
      child.kill('SIGKILL');
    }
  });

  it.each<[string, (socket: Socket) => void, string]>([
    ['hangs up', (socket) => socket.destroy(), 'it closed the connection without an answer'],
    ['resets', (socket) => socket.resetAndDestroy(), 'it closed the connection without an answer'],
    [
      'breaks off',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
      'its answer broke off',
    ],
    [
      'speaks another language',
      (socket) => socket.end('220 mail.example ESMTP\r\n'),
      'its answer is not HTTP',
    ],
    [
      'changes the protocol',
      (socket) =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
      'it closed the connection without an answer',
    ],
    [
      'has too long a head',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
      'its answer is not HTTP',
    ],
  ])('fails where the other side %s', async (_, onSocket, reason) => {
    const { url, sockets } = await serveRaw((socket) => {
      socket.once('data', () => onSocket(socket));
    });
    expect(await probe(url)).toEqual({ kind: 'failed', reason });
    await eventually('the connection is closed', () => sockets.size === 0);
  });

  it('fails where nobody listens, or the name is unknown', async () => {
    const { port } = await serve(() => undefined);
    const { server } = opened.pop()!;
    server.close();
    await once(server, 'close');
    expect(await probe(`http://127.0.0.1:${port}/`)).toEqual({
      kind: 'failed',
      reason: 'it refused the connection',
    });
    const resolve: ResolveName = () => Promise.reject(new Error('ENOTFOUND'));
    expect(await probe('http://nobody.example/', { resolve })).toEqual({
      kind: 'failed',
      reason: 'its name cannot be resolved',
    });
    expect(
      await probe('http://slow.example/', { timeoutMs: 50, resolve: () => new Promise(() => undefined) }),
    ).toEqual({
      kind: 'failed',
      reason: 'no whole answer within 50 ms',
    });
  });

  it('fails over TLS where nobody vouches for the certificate, or there is no TLS', async () => {
    const { url } = await serve((_, response) => response.end());
    expect(await probe(url.replace('http:', 'https:'))).toMatchObject({ kind: 'failed' });
  });

  it('says nothing where it is stopped, or had no turn to look up the name, and leaves no connection', async () => {
    const stop = new AbortController();
    const { url, sockets, count } = await serveRaw(() => undefined);
    const running = createProber({}).probe(url, stop.signal);
    await eventually('it is connected', () => sockets.size === 1);
    stop.abort();
    expect(await running).toEqual({ kind: 'unknown' });
    await eventually('the connection is closed', () => sockets.size === 0);
    expect(await createProber({}).probe(url, stop.signal)).toEqual({ kind: 'unknown' });
    expect(count()).toBe(1);
    const busy = createProber({ timeoutMs: 50, resolve: () => new Promise(() => undefined) });
    const { signal } = new AbortController();
    const kinds = await Promise.all(
      ['a', 'b', 'c'].map(async (host) => (await busy.probe(`http://${host}.example/`, signal)).kind),
    );
    expect(kinds).toEqual(['failed', 'failed', 'unknown']);
  });
});

describe('what is not asked', () => {
  it.each([
    ['/health', 'it is no http or https URL'],
    ['ftp://oven.example/', 'it is no http or https URL'],
    ['file:///etc/passwd', 'it is no http or https URL'],
    ['http://', 'it is no http or https URL'],
    ['http://cook:secret@127.0.0.1/', 'it has credentials'],
    ['http://169.254.169.254/latest/meta-data', '169.254.169.254 is link-local'],
    ['http://0xa9fea9fe/', '169.254.169.254 is link-local'],
    ['http://2852039166/', '169.254.169.254 is link-local'],
    ['http://[::ffff:169.254.169.254]/', '::ffff:a9fe:a9fe is link-local'],
    ['http://[fe80::1]/', 'fe80::1 is link-local'],
    ['http://0.0.0.0/', '0.0.0.0 is link-local'],
    ['http://0/', '0.0.0.0 is link-local'],
    ['http://10.0.0.1/', '10.0.0.1 is a private address'],
    ['http://8.8.8.8/', '8.8.8.8 is a public address'],
  ])('%s', async (url, reason) => {
    expect(await probe(url)).toEqual({
      kind: 'refused',
      reason: expect.stringContaining(reason) as string,
    });
  });

  it('this registry itself, by any of its addresses', async () => {
    const rules = ['loopback', 'private', 'public'];
    const reason = 'it leads to this registry itself';
    for (const host of ['127.0.0.1', '127.0.0.2', '[::1]', '[::ffff:127.0.0.1]', '192.0.2.10']) {
      expect(await probe(`http://${host}:8765/`, { rules, ownPort: 8765 })).toEqual({
        kind: 'refused',
        reason,
      });
    }
    expect(await probe('http://localhost/', { rules, ownPort: 80 })).toEqual({ kind: 'refused', reason });
    expect(await probe('https://localhost/', { rules, ownPort: 443 })).toEqual({ kind: 'refused', reason });
  });

  it('names that lead where nobody may be led, or nowhere', async () => {
    const refused = (reason: string): object => ({
      kind: 'refused',
      reason: expect.stringContaining(reason) as string,
    });
    const ask = (...addresses: string[]): Promise<ProbeOutcome> =>
      probe('http://oven.example/', { resolve: () => Promise.resolve(at(...addresses)) });
    expect(await ask('169.254.169.254')).toEqual(refused('link-local'));
    expect(await ask('::ffff:169.254.169.254', '10.0.0.1')).toEqual(refused('link-local'));
    expect(await ask('10.0.0.1')).toEqual(refused('private'));
    expect(await ask()).toEqual(refused('no address'));
  });
});

describe('a name', () => {
  it('is resolved once: the address that was looked at is the one that is connected to', async () => {
    const inner = await serve((_, response) => response.end('secret'));
    const outer = await listen(
      createHttpServer((_, response) => response.writeHead(204).end()),
      '127.0.0.2',
    );
    // The same port, so that a second look at the name would lead to it.
    const twin = createHttpServer((_, response) => response.end('secret'));
    opened.push({ server: twin, sockets: new Set() });
    twin.listen(outer.port, '127.0.0.3');
    await once(twin, 'listening');
    let twinRequests = 0;
    twin.on('request', () => (twinRequests += 1));
    let lookups = 0;
    const resolve: ResolveName = () => Promise.resolve(at((lookups += 1) === 1 ? '127.0.0.2' : '127.0.0.3'));
    const url = `http://rebinding.example:${outer.port}/`;
    expect(await probe(url, { rules: ['127.0.0.2'], resolve })).toEqual({ kind: 'passed' });
    expect([lookups, outer.count(), twinRequests]).toEqual([1, 1, 0]);
    expect(await probe(url, { rules: ['127.0.0.2'], resolve })).toMatchObject({ kind: 'refused' });
    expect([lookups, outer.count(), twinRequests, inner.count()]).toEqual([2, 1, 0, 0]);
  });

  it('is asked at those of its addresses that are allowed, with its name as the host', async () => {
    let host: string | undefined;
    const { port } = await serve((request, response) => {
      ({ host } = request.headers);
      response.end();
    });
    const resolve: ResolveName = () => Promise.resolve(at('169.254.169.254', '10.0.0.1', '127.0.0.1'));
    expect(await probe(`http://oven.example:${port}/`, { resolve })).toEqual({ kind: 'passed' });
    expect(host).toBe(`oven.example:${port}`);
  });

  it('may be allowed itself, but not to lead to a metadata service', async () => {
    const { port } = await serve((_, response) => response.end());
    const url = `http://oven.example:${port}/`;
    const rules = ['oven.example'];
    const to =
      (address: string): ResolveName =>
      () =>
        Promise.resolve(at(address));
    expect(await probe(url, { rules, resolve: to('127.0.0.1') })).toEqual({ kind: 'passed' });
    expect(await probe(url, { rules, resolve: to('169.254.169.254') })).toMatchObject({ kind: 'refused' });
    expect(await probe(`http://127.0.0.1:${port}/`, { rules })).toMatchObject({ kind: 'refused' });
  });
});

it('many probes at once leave nothing behind', async () => {
  const { url, sockets } = await serve((_, response) => response.end('ok'));
  const prober = createProber({});
  const { signal } = new AbortController();
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => prober.probe(url, signal)));
  expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['passed']));
  await eventually('all connections are closed', () => sockets.size === 0);
});
