import { once } from 'node:events';
import { MembraneError, MESSAGE_SUBPROTOCOL } from '@membrane/protocol';
import { WebSocket } from 'ws';
import { openTcpReceiver } from '../../src/transports/receiver.js';
import { eventually } from '../support/eventually.js';
import { FakeTaker } from '../support/fake-taker.js';
import { ask } from '../support/http.js';
import { openRawSender } from '../support/raw-sender.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useTransports } from '../support/transports.js';

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();

const envelope = (id: string, payload: unknown = 1): object => ({ m: { id, sender: 'baker', payload } });

describe('GET {endpoint}/messages', () => {
  it('begins with the window', async () => {
    const { to } = await transports.openTcp(new FakeTaker());
    const sender = await openRawSender(to);
    await expect(sender.waitForFrames(1)).resolves.toEqual([{ w: 1_000 }]);
    expect(sender.socket.protocol).toBe(MESSAGE_SUBPROTOCOL);
    expect(sender.socket.extensions).toBe('');
    sender.socket.terminate();
  });

  it('answers once where the handler is quick, and says accepted first where it is not', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    sender.send(envelope('quick'));
    await sender.waitForFrames(2);
    taker.onTake = ({ finish }) => queueMicrotask(() => finish({ outcome: 'processed' }));
    sender.send(envelope('soon'));
    await sender.waitForFrames(3);
    taker.onTake = () => undefined;
    sender.send(envelope('slow'));
    await sender.waitForFrames(4);
    taker.taken[2]?.finish({ outcome: 'processed', reply: ['done', { ä: '"' }] });
    await expect(sender.waitForFrames(5)).resolves.toEqual([
      { w: 1_000 },
      { a: 'quick', o: 'processed' },
      { a: 'soon', o: 'processed' },
      { a: 'slow', o: 'accepted' },
      { a: 'slow', o: 'processed', r: ['done', { ä: '"' }] },
    ]);
    sender.socket.terminate();
  });

  it('tells refusals and failures, and when to come back', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    taker.onTake = ({ finish }) =>
      finish({ outcome: 'failed', error: new MembraneError('handler_failed', 'burnt') });
    sender.send(envelope('m-1'));
    await sender.waitForFrames(2);
    taker.refusal = new MembraneError('inbox_full', 'full', { details: { retryAfterMs: 250 } });
    sender.send(envelope('m-2'));
    await expect(sender.waitForFrames(3)).resolves.toEqual([
      { w: 1_000 },
      { e: 'm-1', c: 'handler_failed', d: 'burnt' },
      { e: 'm-2', c: 'inbox_full', d: 'full', t: 250 },
    ]);
    sender.socket.terminate();
  });

  it('tells when its window closes, and how many may come when it opens', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    await sender.waitForFrames(1);
    taker.onTake = () => undefined;
    sender.send(envelope('m-1'));
    await sender.waitForFrames(2);
    taker.window = 0;
    await sender.waitForFrames(3);
    taker.window = 5;
    taker.window = 6;
    await expect(sender.waitForFrames(4)).resolves.toEqual([
      { w: 1_000 },
      { a: 'm-1', o: 'accepted' },
      { w: 0 },
      { w: 6 },
    ]);
    sender.socket.terminate();
    await eventually('nobody listens any more', () => taker.listeners === 0);
  });

  it('passes on that a message of a stream will not come', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    sender.send({ skip: { session: 's', stream: 'orders', sequence: 4 } });
    await eventually('it was told', () => taker.skipped.length === 1);
    expect(taker.skipped).toEqual([['s', 'orders', 4]]);
    sender.socket.terminate();
  });

  it('gives a message without an id one', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    sender.send({ m: { sender: 'baker', payload: 1 } });
    const [, answer] = await sender.waitForFrames(2);
    expect(answer).toEqual({ a: taker.taken[0]?.envelope.id, o: 'processed' });
    sender.socket.terminate();
  });

  it('answers a message that is wrong by its id, and goes on', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    sender.send({ m: { id: 'm-1', sender: 'not a name', payload: 1 } });
    sender.send(envelope('m-2'));
    const frames = await sender.waitForFrames(3);
    expect(frames[1]).toMatchObject({ e: 'm-1', c: 'invalid_request' });
    expect(frames[1]?.['d']).toContain('sender');
    expect(frames[2]).toEqual({ a: 'm-2', o: 'processed' });
    sender.socket.terminate();
  });

  it('survives a taker that throws, and a reply that is no JSON', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    taker.onTake = () => {
      throw new Error('a bug');
    };
    sender.send(envelope('m-1'));
    await sender.waitForFrames(2);
    taker.onTake = ({ finish }) => finish({ outcome: 'processed', reply: 1n as never });
    sender.send(envelope('m-2'));
    const frames = await sender.waitForFrames(3);
    expect(frames[1]).toMatchObject({ e: 'm-1', c: 'internal_error' });
    expect(frames[2]).toMatchObject({ e: 'm-2', c: 'handler_failed' });
    sender.socket.terminate();
  });

  it.each([
    ['no JSON', '{"m":', 1007, 'JSON'],
    ['no object', '7', 1008, 'm or skip'],
    ['nothing that it knows', '{"x":1}', 1008, 'm or skip'],
    ['a message that is wrong and has no id', '{"m":{"payload":1}}', 1008, 'sender'],
    ['a message whose id is wrong', '{"m":{"id":"ä","sender":"baker","payload":1}}', 1008, 'id'],
    ['a skip of nothing', '{"skip":null}', 1008, 'session'],
  ])('hangs up on a frame that is %s', async (_, frame, code, reason) => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const sender = await openRawSender(to);
    sender.send(frame);
    const closed = await sender.closed;
    expect(closed.code).toBe(code);
    expect(closed.reason).toContain(reason);
    const other = await openRawSender(to);
    other.send(envelope('m-1'));
    await other.waitForFrames(2);
    other.socket.terminate();
  });

  it('hangs up on binary frames, on text that is no UTF-8, and on what is too long', async () => {
    const { to } = await transports.openTcp(new FakeTaker(), { maxMessageBytes: 1_000 });
    const codeFor = async (data: Buffer | string, binary: boolean): Promise<number> => {
      const sender = await openRawSender(to);
      sender.socket.send(data, { binary });
      return (await sender.closed).code;
    };
    await expect(codeFor(Buffer.from('{}'), true)).resolves.toBe(1003);
    await expect(codeFor(Buffer.from([0x22, 0xff, 0x22]), false)).resolves.toBe(1007);
    await expect(codeFor('x'.repeat(1_007), false)).resolves.toBe(1009);
  });

  it('refuses what is no WebSocket of its protocol by a problem document', async () => {
    const { to, receiver } = await transports.openTcp(new FakeTaker());
    const refusal = async (url: string, protocols: string[], origin?: string): Promise<object> => {
      const socket = new WebSocket(url, protocols, origin === undefined ? {} : { origin });
      socket.on('error', () => undefined);
      const [, response] = (await once(socket, 'unexpected-response')) as [
        unknown,
        NodeJS.ReadableStream & { statusCode: number },
      ];
      let text = '';
      for await (const chunk of response) text += chunk.toString();
      return { status: response.statusCode, code: (JSON.parse(text) as { code: string }).code };
    };
    const base = to.address.replace('http', 'ws');
    const ours = [MESSAGE_SUBPROTOCOL];
    await expect(refusal(`${base}/messages`, [])).resolves.toEqual({ status: 400, code: 'invalid_request' });
    await expect(refusal(`${base}/message`, ours)).resolves.toEqual({
      status: 405,
      code: 'method_not_allowed',
    });
    await expect(refusal(`${base}/else`, ours)).resolves.toEqual({ status: 404, code: 'not_found' });
    await expect(
      refusal(`ws://127.0.0.1:${receiver.port}/m/default/pan/default/messages`, ours),
    ).resolves.toEqual({ status: 421, code: 'wrong_receiver' });
    await expect(refusal(`${base}/messages`, ours, 'https://evil.example')).resolves.toEqual({
      status: 403,
      code: 'forbidden',
    });
  });

  it('finds peers that are dead, and keeps those that are quiet', async () => {
    const { to } = await transports.openTcp(new FakeTaker(), { pingIntervalMs: 50 });
    const quiet = await openRawSender(to);
    const dead = await openRawSender(to, { autoPong: false });
    await expect(dead.closed).resolves.toMatchObject({ code: 1006 });
    let pings = 0;
    quiet.socket.on('ping', () => (pings += 1));
    await eventually('the quiet one was asked often', () => pings > 5);
    expect(quiet.socket.readyState).toBe(WebSocket.OPEN);
    quiet.socket.terminate();
  });

  it('reads no more from one who does not read its answers', async () => {
    const taker = new FakeTaker();
    taker.reply = 'x'.repeat(50_000);
    const { to } = await transports.openSocket(await makeDirectory(), taker, { maxBufferedBytes: 100_000 });
    const sender = await openRawSender(to);
    await sender.waitForFrames(1);
    sender.socket.pause();
    const count = 400;
    for (let index = 0; index < count; index += 1) {
      sender.send({ m: { id: `m-${index}`, sender: 'baker', payload: 'y'.repeat(5_000) } });
    }
    await eventually('it stopped reading', () => sender.socket.bufferedAmount > 0);
    const taken = await eventually('nothing comes any more', async () => {
      const before = taker.taken.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return taker.taken.length === before && before;
    });
    expect(taken).toBeLessThan(count);
    sender.socket.resume();
    await sender.waitForFrames(count + 1);
    expect(taker.taken).toHaveLength(count);
    sender.socket.terminate();
  });
});

describe('a receiver that closes', () => {
  it('lets what is being handled finish, takes nothing new, and says goodbye', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const opened = await transports.openTcp(taker);
    const sender = await openRawSender(opened.to);
    sender.send(envelope('m-1'));
    const post = ask(`${opened.to.address}/message`, { body: '{"sender":"baker","payload":2}' });
    await eventually('both were taken', () => taker.taken.length === 2);
    const closing = opened.close();
    await sender.waitForFrames(3);
    sender.send(envelope('m-2'));
    await sender.waitForFrames(4);
    for (const { finish } of taker.taken) finish({ outcome: 'processed' });
    await expect(post).resolves.toMatchObject({ status: 200 });
    await expect(sender.closed).resolves.toEqual({ code: 1001, reason: 'the receiver goes' });
    await closing;
    expect(sender.frames).toEqual([
      { w: 1_000 },
      { a: 'm-1', o: 'accepted' },
      { w: 0 },
      { e: 'm-2', c: 'client_closed', d: 'the receiver goes' },
      { a: 'm-1', o: 'processed' },
    ]);
    await expect(ask(`${opened.to.address}/message`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('waits no longer than its grace', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const opened = await transports.openTcp(taker, { closeGraceMs: 50 });
    const sender = await openRawSender(opened.to);
    sender.send(envelope('m-1'));
    const post = ask(`${opened.to.address}/message`, { body: '{"sender":"baker","payload":2}' });
    const failed = expect(post).rejects.toThrow();
    await eventually('both were taken', () => taker.taken.length === 2);
    await opened.close();
    await expect(sender.closed).resolves.toMatchObject({ code: 1001 });
    await failed;
  });

  it('may be closed twice', async () => {
    const opened = await transports.openTcp(new FakeTaker());
    await Promise.all([opened.close(), opened.close()]);
    await opened.close();
  });
});

describe('one port for the clients of a process', () => {
  const options = { host: '127.0.0.1', port: 0 };

  it('is shared by path, and closed by the last', async () => {
    const [oven, pan] = [new FakeTaker(), new FakeTaker()];
    const first = transports.keep(await openTcpReceiver(options));
    const second = transports.keep(await openTcpReceiver(options));
    expect(second.port).toBe(first.port);
    first.serve('/m/default/oven/default', oven);
    second.serve('/m/default/pan/default', pan);
    const base = `http://127.0.0.1:${first.port}`;
    const body = '{"sender":"baker","payload":1}';
    const send = async (id: string): Promise<number> =>
      (await ask(`${base}/m/default/${id}/default/message`, { body })).status;
    await expect(send('pan')).resolves.toBe(200);
    expect([oven.taken.length, pan.taken.length]).toEqual([0, 1]);
    await first.close();
    await expect(send('oven')).resolves.toBe(421);
    await expect(send('pan')).resolves.toBe(200);
    await second.close();
    await expect(send('pan')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('gives a path to one only', async () => {
    const receiver = transports.keep(await openTcpReceiver(options));
    const served = receiver.serve('/m/default/oven/default', new FakeTaker());
    expect(() => receiver.serve('/m/default/oven/default', new FakeTaker())).toThrow(
      expect.objectContaining({ code: 'conflict' }) as Error,
    );
    await served.close();
    receiver.serve('/m/default/oven/default', new FakeTaker());
  });

  it('is refused where another one listens', async () => {
    const taken = transports.keep(await openTcpReceiver(options));
    await expect(openTcpReceiver({ host: '127.0.0.1', port: taken.port })).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(openTcpReceiver({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await taken.close();
    const free = transports.keep(await openTcpReceiver({ host: '127.0.0.1', port: taken.port }));
    expect(free.port).toBe(taken.port);
  });
});
