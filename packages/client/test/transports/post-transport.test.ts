import type { IncomingMessage, ServerResponse } from 'node:http';
import { MembraneError, PROBLEM_MEDIA_TYPE, toProblem } from '@membrane/protocol';
import { systemClock } from '../../src/clock.js';
import { createAddressPolicy } from '../../src/transports/address-policy.js';
import { PostTransport } from '../../src/transports/post-transport.js';
import { eventually } from '../support/eventually.js';
import { ack, openFakeReceiver } from '../support/fake-receiver.js';
import { FakeTaker } from '../support/fake-taker.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { message, useTransports } from '../support/transports.js';

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();

function openPost(socketDirectory?: string): PostTransport {
  const addressPolicy = createAddressPolicy({ allowLoopback: true, socketDirectory });
  return transports.keep(new PostTransport({ clock: systemClock, addressPolicy }));
}

/** Answers each request in the same way. */
const answering =
  (status: number, body = '', headers: Record<string, string> = {}) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    request.on('end', () => response.writeHead(status, headers).end(body));
  };

describe('a message by POST', () => {
  it.each(['network', 'ipc'])('is handed over (%s), with its reply', async (kind) => {
    const taker = new FakeTaker();
    taker.reply = { ok: true };
    const directory = await makeDirectory();
    const { to } =
      kind === 'ipc' ? await transports.openSocket(directory, taker) : await transports.openTcp(taker);
    const sent = message('hello');
    const result = await openPost(directory).send(sent, to);
    expect(result).toEqual({ outcome: 'processed', reply: { ok: true } });
    expect(taker.taken[0]?.envelope).toMatchObject({ id: sent.envelope.id, payload: 'hello', attempt: 1 });
    expect(taker.taken[0]?.envelope.ttl_ms).toBeGreaterThan(0);
  });

  it('brings the word of the receiver, and when to come back', async () => {
    const taker = new FakeTaker();
    taker.refusal = new MembraneError('inbox_full', 'full', { details: { retryAfterMs: 2_000 } });
    const { to } = await transports.openTcp(taker);
    await expect(openPost().send(message(1), to)).rejects.toMatchObject({
      code: 'inbox_full',
      message: 'full',
      details: { retryAfterMs: 2_000 },
    });
  });

  it('ends at its deadline, when the caller wants it, and when the transport closes', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to } = await transports.openTcp(taker, { closeGraceMs: 10 });
    const post = openPost();
    await expect(post.send(message(1, { timeoutMs: 30 }), to)).rejects.toMatchObject({
      code: 'not_delivered',
    });
    const controller = new AbortController();
    const aborted = expect(post.send(message(2), to, { signal: controller.signal })).rejects.toThrow(
      'enough',
    );
    await eventually('it was taken', () => taker.taken.length === 2);
    controller.abort(new Error('enough'));
    await aborted;
    const closed = expect(post.send(message(3), to)).rejects.toMatchObject({ code: 'client_closed' });
    await eventually('it was taken', () => taker.taken.length === 3);
    await post.close();
    await closed;
    await expect(post.send(message(4), to)).rejects.toMatchObject({ code: 'client_closed' });
  });

  it('arrives where a kept connection has died meanwhile', async () => {
    const taker = new FakeTaker();
    const first = await transports.openTcp(taker);
    const post = openPost();
    await post.send(message(1), first.to);
    await first.close();
    await transports.openTcp(taker, undefined, first.receiver.port);
    await post.send(message(2), first.to);
    expect(taker.payloads).toEqual([1, 2]);
  });

  it('that is too long is not sent', async () => {
    const { to } = await transports.openTcp(new FakeTaker());
    await expect(openPost().send(message('x'.repeat(1024 * 1024)), to)).rejects.toMatchObject({
      code: 'payload_too_large',
    });
  });

  it('to an address that may not be used, or where nobody is, is not sent', async () => {
    const post = openPost();
    const send = async (address: string): Promise<unknown> =>
      post.send(message(1), { kind: 'network', address });
    await expect(send('http://169.254.169.254')).rejects.toMatchObject({ code: 'forbidden' });
    const gone = await openFakeReceiver();
    await gone.close();
    await expect(send(gone.to.address)).rejects.toMatchObject({
      code: 'not_delivered',
      cause: { code: 'ECONNREFUSED' },
    });
  });
});

describe('what others answer', () => {
  const JSON_TYPE = { 'Content-Type': 'application/json' };

  it.each([
    [200, '{"success":true,"message_id":"m","outcome":"queued"}', 'queued'],
    [200, '{"success":true}', 'processed'],
    [202, '', 'accepted'],
    [204, '', 'processed'],
  ])('with status %i and %j is as good as %s', async (status, body, outcome) => {
    const receiver = transports.keep(
      await openFakeReceiver({ onRequest: answering(status, body, JSON_TYPE) }),
    );
    await expect(openPost().send(message(1), receiver.to)).resolves.toEqual({ outcome });
  });

  it.each([
    [200, '<html>Welcome</html>'],
    [200, '{"success":false}'],
    [200, '[]'],
    [302, ''],
    [404, 'Not Found'],
    [500, ''],
    [502, '<html>Bad Gateway</html>'],
  ])('with status %i and %j is no delivery', async (status, body) => {
    const receiver = transports.keep(await openFakeReceiver({ onRequest: answering(status, body) }));
    await expect(openPost().send(message(1), receiver.to)).rejects.toMatchObject({ code: 'not_delivered' });
  });
});

describe('an address that speaks no WebSocket', () => {
  it('gets its messages by POST, those that waited included, and is remembered', async () => {
    const posted: unknown[] = [];
    let upgrades = 0;
    const receiver = transports.keep(
      await openFakeReceiver({
        onUpgrade: (_, socket) => {
          upgrades += 1;
          socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
        },
        onRequest: (request, response) => {
          let text = '';
          request.on('data', (chunk: Buffer) => (text += chunk.toString()));
          request.on('end', () => {
            posted.push((JSON.parse(text) as { payload: unknown }).payload);
            response.writeHead(204).end();
          });
        },
      }),
    );
    const transport = transports.stream();
    await Promise.all([1, 2].map(async (number) => transport.send(message(number), receiver.to)));
    await expect(transport.send(message(3), receiver.to)).resolves.toEqual({ outcome: 'processed' });
    expect(new Set(posted)).toEqual(new Set([1, 2, 3]));
    expect(upgrades).toBe(1);
  });

  it('is asked again after a while', async () => {
    let isUpgraded = false;
    const receiver = transports.keep(
      await openFakeReceiver({
        onRequest: answering(204),
        onUpgrade: (_, socket) => {
          isUpgraded = true;
          socket.end('HTTP/1.1 501 Not Implemented\r\nConnection: close\r\n\r\n');
        },
      }),
    );
    const transport = transports.stream({ limits: { postTtlMs: 20 } });
    await transport.send(message(1), receiver.to);
    isUpgraded = false;
    await eventually('it is asked again', async () => {
      await transport.send(message(2), receiver.to);
      return isUpgraded;
    });
  });

  it('is one that ignores the upgrade, or takes it without our protocol', async () => {
    const ignores = transports.keep(
      await openFakeReceiver({
        onRequest: answering(204),
        onUpgrade: (_, socket) => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello'),
      }),
    );
    const other = transports.keep(
      await openFakeReceiver({
        onRequest: answering(204),
        onUpgrade: ({ headers }, socket) => {
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
              `Sec-WebSocket-Accept: not-${String(headers['sec-websocket-key'])}\r\n\r\n`,
          );
        },
      }),
    );
    const transport = transports.stream();
    for (const { to } of [ignores, other]) {
      await expect(transport.send(message(1), to)).resolves.toEqual({ outcome: 'processed' });
    }
  });

  it('is one that a proxy hides, which takes the upgrade out', async () => {
    const problem = JSON.stringify(toProblem(new MembraneError('method_not_allowed', 'wants a WebSocket')));
    const receiver = transports.keep(
      await openFakeReceiver({
        onRequest: answering(204),
        onUpgrade: (_, socket) =>
          socket.end(
            `HTTP/1.1 405 Method Not Allowed\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nConnection: close\r\n\r\n${problem}`,
          ),
      }),
    );
    const sent = transports.stream().send(message(1), receiver.to);
    await expect(sent).resolves.toEqual({ outcome: 'processed' });
  });

  it('is none that says what is wrong, nor a proxy that cannot go on', async () => {
    const problem = JSON.stringify(toProblem(new MembraneError('not_found', 'nothing here')));
    const told = transports.keep(
      await openFakeReceiver({
        onMessage: ack,
        onUpgrade: (_, socket) =>
          socket.end(
            `HTTP/1.1 404 Not Found\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nConnection: close\r\n\r\n${problem}`,
          ),
      }),
    );
    const proxy = transports.keep(
      await openFakeReceiver({
        onRequest: answering(204),
        onUpgrade: (_, socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n'),
      }),
    );
    const transport = transports.stream();
    await expect(transport.send(message(1), told.to)).rejects.toMatchObject({ code: 'not_found' });
    await expect(transport.send(message(1), proxy.to)).rejects.toMatchObject({ code: 'not_delivered' });
  });
});
