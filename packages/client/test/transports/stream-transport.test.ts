import { readdir } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { MembraneError } from '@membrane/protocol';
import { systemClock } from '../../src/clock.js';
import { createAddressPolicy } from '../../src/transports/address-policy.js';
import { PostTransport } from '../../src/transports/post-transport.js';
import type { RouteAddress } from '../../src/transports/transport.js';
import { eventually } from '../support/eventually.js';
import { ack, openFakeReceiver } from '../support/fake-receiver.js';
import { FakeTaker } from '../support/fake-taker.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { message, useTransports } from '../support/transports.js';

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();

const fails = (code: string, text = ''): object => ({
  code,
  message: expect.stringContaining(text) as string,
});

describe.each(['network', 'ipc'] as const)('messages over %s', (kind) => {
  const open = async (taker: FakeTaker): Promise<{ to: RouteAddress; socketDirectory: string }> => {
    const socketDirectory = await makeDirectory();
    const { to } =
      kind === 'ipc' ? await transports.openSocket(socketDirectory, taker) : await transports.openTcp(taker);
    return { to, socketDirectory };
  };

  it('arrive in order, and are answered as processed', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    const numbers = Array.from({ length: 2_000 }, (_, index) => index);
    const results = await Promise.all(numbers.map(async (number) => transport.send(message(number), to)));
    expect(taker.payloads).toEqual(numbers);
    expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(['processed']));
  });

  it('bring the reply of the handler', async () => {
    const taker = new FakeTaker();
    taker.reply = { temperature: 220, words: ['heiß', '"quoted"', '\n', '🍞'] };
    const { to, socketDirectory } = await open(taker);
    const result = await transports.stream({ socketDirectory }).send(message('how hot?'), to);
    expect(result).toEqual({ outcome: 'processed', reply: taker.reply });
  });

  it('of every length and script arrive as they were', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    const lengths = [0, 1, 50, 125, 126, 127, 1_000, 65_000, 65_535, 65_536, 70_000, 300_000];
    const payloads = lengths.flatMap((length) => ['x'.repeat(length), 'ß🍞'.repeat(length / 8)]);
    await Promise.all(payloads.map(async (payload) => transport.send(message(payload), to)));
    expect(taker.payloads).toEqual(payloads);
  });

  it('carry the time that is left', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const sent = message('soon', { timeoutMs: 10_000 });
    await transports.stream({ socketDirectory }).send(sent, to);
    const { ttl_ms: ttlMs, ...others } = taker.taken[0]!.envelope;
    expect(ttlMs).toBeGreaterThan(5_000);
    expect(ttlMs).toBeLessThanOrEqual(10_000);
    expect(others).toEqual(sent.envelope);
  });

  it('are told to be accepted before they are processed', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to, socketDirectory } = await open(taker);
    const accepted = new Promise<void>((resolve) => {
      const hooks = { onAccepted: resolve };
      void transports
        .stream({ socketDirectory })
        .send(message('slow'), to, hooks)
        .catch(() => undefined);
    });
    await accepted;
    expect(taker.payloads).toEqual(['slow']);
  });

  it('that fail bring the word of the receiver', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    taker.onTake = ({ finish }) =>
      finish({ outcome: 'failed', error: new MembraneError('handler_failed', 'burnt') });
    await expect(transport.send(message(1), to)).rejects.toMatchObject(fails('handler_failed', 'burnt'));
    taker.refusal = new MembraneError('inbox_full', 'full', { details: { retryAfterMs: 70 } });
    await expect(transport.send(message(2), to)).rejects.toMatchObject({
      code: 'inbox_full',
      details: { retryAfterMs: 70 },
    });
    taker.refusal = new MembraneError('client_closed', 'gone');
    await expect(transport.send(message(3), to)).rejects.toMatchObject(fails('client_closed'));
  });

  it('that are too long fail before they are sent, and harm no others', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    const long = transport.send(message('x'.repeat(1024 * 1024)), to);
    const refused = expect(long).rejects.toMatchObject(fails('payload_too_large'));
    await transport.send(message('short'), to);
    await refused;
    expect(taker.payloads).toEqual(['short']);
  });

  it('pass on what will not come', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    const skipped = { session: 's', stream: 'orders', sequence: 3 };
    transport.skip(to, skipped);
    await transport.send(message(1), to);
    transport.skip(to, skipped);
    await transport.send(message(2), to);
    expect(taker.skipped).toEqual([['s', 'orders', 3]]);
  });

  it('end when the caller wants it, wherever they are', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory, limits: { maxInFlight: 1 } });
    const [underWay, waiting] = [new AbortController(), new AbortController()];
    const first = transport.send(message('first'), to, { signal: underWay.signal });
    const second = transport.send(message('second'), to, { signal: waiting.signal });
    const third = transport.send(message('third'), to);
    await eventually('the first was taken', () => taker.taken.length === 1);
    waiting.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    underWay.abort(new Error('no more'));
    await expect(first).rejects.toThrow('no more');
    await eventually('the third was taken', () => taker.taken.length === 2);
    taker.taken[0]?.finish({ outcome: 'processed' });
    taker.taken[1]?.finish({ outcome: 'processed' });
    await third;
    expect(taker.payloads).toEqual(['first', 'third']);
    const dead = AbortSignal.abort(new Error('before'));
    await expect(transport.send(message('never'), to, { signal: dead })).rejects.toThrow('before');
  });

  it('end at their deadline, not much later', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory, limits: { maxInFlight: 1 } });
    const startMs = performance.now();
    const sends = [100, 50, 75].map(async (timeoutMs) =>
      transport.send(message(timeoutMs, { timeoutMs }), to),
    );
    for (const result of await Promise.allSettled(sends)) {
      expect(result).toMatchObject({ status: 'rejected', reason: fails('not_delivered', 'deadline') });
    }
    expect(performance.now() - startMs).toBeGreaterThan(95);
    expect(performance.now() - startMs).toBeLessThan(5_000);
    await expect(transport.send(message('late', { timeoutMs: 0 }), to)).rejects.toMatchObject(
      fails('not_delivered', 'deadline'),
    );
  });

  it('fail when the transport closes, and after', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    const send = transport.send(message(1), to);
    const refused = expect(send).rejects.toMatchObject(fails('client_closed'));
    await eventually('it was taken', () => taker.taken.length === 1);
    await transport.close();
    await refused;
    await expect(transport.send(message(2), to)).rejects.toMatchObject(fails('client_closed'));
  });
});

describe('the window', () => {
  it('bounds how many are under way, and the rest keeps its order', async () => {
    let underWay = 0;
    let most = 0;
    const receiver = transports.keep(
      await openFakeReceiver({
        window: 3,
        onMessage: (sent, socket) => {
          underWay += 1;
          most = Math.max(most, underWay);
          setImmediate(() => {
            underWay -= 1;
            ack(sent, socket);
          });
        },
      }),
    );
    const transport = transports.stream();
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    await Promise.all(numbers.map(async (number) => transport.send(message(number), receiver.to)));
    expect(most).toBe(3);
    expect(receiver.messages.map(({ payload }) => payload)).toEqual(numbers);
  });

  it('of 0 stops those that wait, until it opens', async () => {
    const receiver = transports.keep(await openFakeReceiver({ window: 1 }));
    const transport = transports.stream();
    const sends = [1, 2, 3].map(async (number) => transport.send(message(number), receiver.to));
    await eventually('the first came', () => receiver.messages.length === 1);
    const [connection] = receiver.connections;
    connection?.send('{"w":0}');
    connection?.send('{"w":3}');
    await eventually('all came', () => receiver.messages.length === 3);
    for (const sent of receiver.messages) ack(sent, connection!);
    await Promise.all(sends);
  });

  it('of 0 lets one ask why, and the others wait as long as the answer says', async () => {
    const taker = new FakeTaker();
    taker.window = 0;
    taker.refusal = new MembraneError('inbox_full', 'full', { details: { retryAfterMs: 60_000 } });
    const { to } = await transports.openTcp(taker);
    const transport = transports.stream();
    const [first, second] = [transport.send(message(1), to), transport.send(message(2), to)];
    await expect(first).rejects.toMatchObject(fails('inbox_full'));
    taker.refusal = undefined;
    taker.window = 10;
    await expect(second).resolves.toEqual({ outcome: 'processed' });
    expect(taker.payloads).toEqual([2]);
  });

  it('of 0 is asked about again after that time', async () => {
    const taker = new FakeTaker();
    taker.window = 0;
    taker.refusal = new MembraneError('inbox_full', 'full', { details: { retryAfterMs: 50 } });
    const { to } = await transports.openTcp(taker);
    const transport = transports.stream();
    const sends = [1, 2].map(async (number) => transport.send(message(number), to));
    const results = await Promise.allSettled(sends);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('of 0 where nobody handles messages is no reason to wait', async () => {
    const taker = new FakeTaker();
    taker.window = 0;
    taker.refusal = new MembraneError('no_handler', 'nobody');
    const { to } = await transports.openTcp(taker);
    const transport = transports.stream();
    const sends = [1, 2, 3].map(async (number) => transport.send(message(number), to));
    for (const result of await Promise.allSettled(sends)) {
      expect(result).toMatchObject({ reason: fails('no_handler') });
    }
  });
});

describe('a connection that drops', () => {
  it('is made again, and what has no answer is written again, in order, with the same id', async () => {
    let isFirst = true;
    const receiver = transports.keep(
      await openFakeReceiver({
        onMessage: (sent, socket) => {
          if (!isFirst) {
            ack(sent, socket);
          } else if (sent.payload === 2) {
            isFirst = false;
            ack(receiver.messages[0]!, socket);
            setImmediate(() => socket.terminate());
          }
        },
      }),
    );
    const transport = transports.stream();
    const sent = [0, 1, 2].map((number) => message(number));
    const sends = sent.map(async (one) => transport.send(one, receiver.to));
    await expect(Promise.all(sends)).resolves.toHaveLength(3);
    expect(receiver.messages.map(({ payload, attempt }) => [payload, attempt])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [1, 2],
      [2, 2],
    ]);
    expect(receiver.messages[3]?.id).toBe(sent[1]?.envelope.id);
    expect(receiver.connections).toHaveLength(2);
  });

  it('is given up soon where nobody is there any more, with the cause', async () => {
    const receiver = transports.keep(await openFakeReceiver());
    const transport = transports.stream();
    const send = transport.send(message(1), receiver.to);
    const failed = expect(send).rejects.toMatchObject({
      code: 'not_delivered',
      message: expect.stringContaining(receiver.to.address) as string,
      cause: { code: 'ECONNREFUSED' },
    });
    await eventually('it came', () => receiver.messages.length === 1);
    const startMs = performance.now();
    await receiver.close();
    await failed;
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });

  it('is given up for a message at which the receiver hangs up each time', async () => {
    const receiver = transports.keep(
      await openFakeReceiver({
        onMessage: (sent, socket) => {
          if (sent.payload === 'poison') socket.terminate();
          else ack(sent, socket);
        },
      }),
    );
    const transport = transports.stream();
    const poison = transport.send(message('poison'), receiver.to);
    const other = transport.send(message('bread'), receiver.to);
    await expect(poison).rejects.toMatchObject(fails('not_delivered'));
    await expect(other).resolves.toEqual({ outcome: 'processed' });
    expect(receiver.messages.filter(({ payload }) => payload === 'poison')).toHaveLength(4);
  });

  it('for a message that is too long for the receiver fails that one alone', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker, { maxMessageBytes: 2_000 });
    const transport = transports.stream();
    const before = transport.send(message('before'), to);
    const long = transport.send(message('x'.repeat(5_000)), to);
    const after = transport.send(message('after'), to);
    await expect(long).rejects.toMatchObject(fails('payload_too_large'));
    await Promise.all([before, after]);
    expect(new Set(taker.payloads)).toEqual(new Set(['before', 'after']));
  });

  it('is noticed where the receiver hangs: no pong, no answer', async () => {
    const receiver = transports.keep(await openFakeReceiver({ autoPong: false }));
    const transport = transports.stream({ limits: { pingIntervalMs: 30, maxWrites: 1 } });
    await expect(transport.send(message(1), receiver.to)).rejects.toMatchObject(
      fails('not_delivered', 'silent'),
    );
  });
});

describe('an address', () => {
  it('where nobody listens fails at once', async () => {
    const receiver = await openFakeReceiver();
    await receiver.close();
    const transport = transports.stream();
    await expect(transport.send(message(1), receiver.to)).rejects.toMatchObject({
      code: 'not_delivered',
      cause: { code: 'ECONNREFUSED' },
    });
    const socketDirectory = await makeDirectory();
    const to: RouteAddress = { kind: 'ipc', address: `${socketDirectory}/gone.sock` };
    await expect(transports.stream({ socketDirectory }).send(message(1), to)).rejects.toMatchObject(
      fails('not_delivered'),
    );
  });

  it('that accepts connections and says nothing is given up', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const to: RouteAddress = {
      kind: 'network',
      address: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    };
    const transport = transports.stream({ limits: { connectTimeoutMs: 100 } });
    await expect(transport.send(message(1), to)).rejects.toMatchObject(fails('not_delivered', '100 ms'));
    const receiver = transports.keep(await openFakeReceiver({ window: null }));
    await expect(transport.send(message(1), receiver.to)).rejects.toMatchObject(
      fails('not_delivered', '100 ms'),
    );
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });

  it('that may not be used is refused', async () => {
    const transport = transports.stream();
    const send = async (to: RouteAddress): Promise<unknown> => transport.send(message(1), to);
    await expect(send({ kind: 'network', address: 'http://169.254.169.254/' })).rejects.toMatchObject(
      fails('forbidden'),
    );
    await expect(send({ kind: 'ipc', address: '/var/run/docker.sock' })).rejects.toMatchObject(
      fails('forbidden'),
    );
  });

  it('whose name leads to one that may not be used is refused, by WebSocket and by POST', async () => {
    const addressPolicy = createAddressPolicy({
      allowLoopback: false,
      socketDirectory: undefined,
      resolve: ((_: string, __: object, callback: (...results: unknown[]) => void) => {
        callback(null, [{ address: '169.254.169.254', family: 4 }]);
      }) as never,
    });
    const to: RouteAddress = { kind: 'network', address: 'http://oven.example:8080/m' };
    const post = transports.keep(new PostTransport({ clock: systemClock, addressPolicy }));
    for (const transport of [transports.stream({ addressPolicy }), post]) {
      await expect(transport.send(message(1), to)).rejects.toMatchObject(fails('forbidden', 'oven.example'));
    }
  });

  it('of somebody else is told as such', async () => {
    const { to } = await transports.openTcp(new FakeTaker());
    const other: RouteAddress = { kind: 'network', address: to.address.replace('oven', 'pan') };
    await expect(transports.stream().send(message(1), other)).rejects.toMatchObject(fails('wrong_receiver'));
  });

  it('whose answers nobody understands fails', async () => {
    for (const answer of ['no JSON', '7', '{"w":-1}', '{"a":1}', '{"a":"x","o":"burnt"}', '{"e":2}']) {
      const receiver = transports.keep(
        await openFakeReceiver({ onMessage: (_, socket) => socket.send(answer) }),
      );
      const transport = transports.stream({ limits: { maxWrites: 2 } });
      await expect(transport.send(message(1), receiver.to)).rejects.toMatchObject(fails('not_delivered'));
    }
  });

  it('may have its fields in any order', async () => {
    const receiver = transports.keep(
      await openFakeReceiver({
        onMessage: ({ id }, socket) => socket.send(`{"a":"${id}","r":"done","o":"processed"}`),
      }),
    );
    const result = await transports.stream().send(message(1), receiver.to);
    expect(result).toEqual({ outcome: 'processed', reply: 'done' });
  });

  it('may use words of a later version', async () => {
    const receiver = transports.keep(
      await openFakeReceiver({
        onMessage: ({ id, payload }, socket) => {
          socket.send('{"news":1}');
          socket.send('{"a":"of-nobody","o":"processed"}');
          if (payload === 1) socket.send(JSON.stringify({ a: id, o: 'queued', more: true }));
          else socket.send(JSON.stringify({ e: id, c: 'burnt_crust', d: 'too hot', t: 5 }));
        },
      }),
    );
    const transport = transports.stream();
    await expect(transport.send(message(1), receiver.to)).resolves.toEqual({ outcome: 'queued' });
    await expect(transport.send(message(2), receiver.to)).rejects.toMatchObject({
      ...fails('not_delivered', 'too hot (burnt_crust)'),
      details: { retryAfterMs: 5 },
    });
  });

  it('gets no message twice at the same time', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to } = await transports.openTcp(taker);
    const transport = transports.stream();
    const first = transport.send(message(1, { id: 'same' }), to);
    await eventually('it was taken', () => taker.taken.length === 1);
    await expect(transport.send(message(1, { id: 'same' }), to)).rejects.toMatchObject(fails('conflict'));
    taker.taken[0]?.finish({ outcome: 'processed' });
    await first;
    taker.onTake = undefined;
    await transport.send(message(1, { id: 'same' }), to);
  });
});

describe('connections that are held', () => {
  it('are one an address, and are closed when they carried nothing for long', async () => {
    const receiver = transports.keep(await openFakeReceiver({ onMessage: ack }));
    const transport = transports.stream({ limits: { idleTimeoutMs: 50, pingIntervalMs: 20 } });
    await Promise.all([1, 2, 3].map(async (number) => transport.send(message(number), receiver.to)));
    expect(receiver.connections).toHaveLength(1);
    const [code] = (await once(receiver.connections[0]!, 'close')) as [number];
    expect(code).toBe(1000);
    await transport.send(message(4), receiver.to);
    expect(receiver.connections).toHaveLength(2);
  });

  it('are not more than the limit: the idle one that was used longest ago goes', async () => {
    const receivers = await Promise.all(
      [0, 1, 2].map(async () => transports.keep(await openFakeReceiver({ onMessage: ack }))),
    );
    const transport = transports.stream({ limits: { maxConnections: 2 } });
    const [a, b, c] = receivers;
    for (const receiver of [a!, b!, a!]) await transport.send(message(1), receiver.to);
    const gone = once(b!.connections[0]!, 'close');
    await transport.send(message(2), c!.to);
    await gone;
    expect(a!.connections[0]?.readyState).toBe(1);
  });

  it('make others wait while all are busy', async () => {
    const busy = transports.keep(await openFakeReceiver());
    const other = transports.keep(await openFakeReceiver({ onMessage: ack }));
    const transport = transports.stream({ limits: { maxConnections: 1 } });
    const first = transport.send(message(1), busy.to);
    await eventually('the first came', () => busy.messages.length === 1);
    const second = transport.send(message(2), other.to);
    const late = transport.send(message(3, { timeoutMs: 30 }), other.to);
    await expect(late).rejects.toMatchObject(fails('not_delivered'));
    expect(other.connections).toHaveLength(0);
    ack(busy.messages[0]!, busy.connections[0]!);
    await Promise.all([first, second]);
  });

  it('leave nothing behind', async () => {
    const socketDirectory = await makeDirectory();
    const taker = new FakeTaker();
    const opened = await transports.openSocket(socketDirectory, taker);
    const transport = transports.stream({ socketDirectory });
    await transport.send(message(1), opened.to);
    expect(taker.listeners).toBe(1);
    await transport.close();
    await eventually('the receiver knows', () => taker.listeners === 0);
    await opened.close();
    await expect(readdir(socketDirectory)).resolves.toEqual([]);
  });
});
