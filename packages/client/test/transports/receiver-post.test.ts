import { once } from 'node:events';
import { createConnection } from 'node:net';
import { MembraneError } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { FakeTaker } from '../support/fake-taker.js';
import { ask } from '../support/http.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useTransports } from '../support/transports.js';

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();
const BODY = JSON.stringify({ sender: 'baker', payload: 'hello', id: 'm-1' });

describe('POST {endpoint}/message', () => {
  it('is answered after the handler, with its reply', async () => {
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const { to } = await transports.openTcp(taker);
    let isAnswered = false;
    const answer = ask(`${to.address}/message`, { body: BODY }).finally(() => (isAnswered = true));
    await eventually('it was taken', () => taker.taken.length === 1);
    expect(isAnswered).toBe(false);
    taker.taken[0]?.finish({ outcome: 'processed', reply: { ok: 1 } });
    await expect(answer).resolves.toMatchObject({
      status: 200,
      body: { success: true, message_id: 'm-1', outcome: 'processed', reply: { ok: 1 } },
    });
    expect(taker.taken[0]?.options).toEqual({ sizeBytes: BODY.length, isKept: false });
  });

  it('says queued where the message only went on', async () => {
    const taker = new FakeTaker();
    taker.onTake = ({ finish }) => finish({ outcome: 'queued' });
    const { to } = await transports.openTcp(taker);
    const { body } = await ask(`${to.address}/message`, { body: BODY });
    expect(body).toEqual({ success: true, message_id: 'm-1', outcome: 'queued' });
  });

  it('gives a message without an id one', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    const body = JSON.stringify({ sender: 'baker', payload: 1, id: null });
    const answer = await ask(`${to.address}/message`, { body });
    expect(answer.body['message_id']).toMatch(/^[0-9a-f-]{14}7/);
    expect(taker.taken[0]?.envelope.id).toBe(answer.body['message_id']);
  });

  it('works over a Unix socket', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openSocket(await makeDirectory(), taker);
    const answer = await ask('http://localhost/message', { body: BODY, socketPath: to.address });
    expect(answer).toMatchObject({ status: 200, body: { outcome: 'processed' } });
  });

  it.each([
    ['inbox_full', 429, '3'],
    ['no_handler', 503, '3'],
    ['out_of_order', 409, undefined],
  ] as const)('tells a refusal: %s', async (code, status, retryAfter) => {
    const taker = new FakeTaker();
    taker.refusal = new MembraneError(code, 'not now', { details: { retryAfterMs: 2_500 } });
    const { to } = await transports.openTcp(taker);
    const answer = await ask(`${to.address}/message`, { body: BODY });
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.headers['retry-after']).toBe(retryAfter);
    expect(answer).toMatchObject({ status, body: { code, success: false, detail: 'not now' } });
  });

  it('tells that the handler failed', async () => {
    const taker = new FakeTaker();
    taker.onTake = ({ finish }) =>
      finish({ outcome: 'failed', error: new MembraneError('handler_failed', 'burnt') });
    const { to } = await transports.openTcp(taker);
    const answer = await ask(`${to.address}/message`, { body: BODY });
    expect(answer).toMatchObject({ status: 500, body: { code: 'handler_failed', detail: 'burnt' } });
  });

  it.each([
    ['no JSON', '{"sender":', 400, 'invalid_request'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'invalid_request'],
    ['no envelope', '[]', 400, 'invalid_request'],
    ['no sender', '{"payload":1}', 400, 'invalid_request'],
    ['nothing', '', 400, 'invalid_request'],
  ])('refuses a body that is %s', async (_, body, status, code) => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker);
    await expect(ask(`${to.address}/message`, { body })).resolves.toMatchObject({ status, body: { code } });
    expect(taker.taken).toEqual([]);
  });

  it.each([
    [{ 'Content-Type': 'text/plain' }],
    [{ 'Content-Type': 'application/x-www-form-urlencoded' }],
    [{ 'Content-Encoding': 'gzip' }],
  ])('refuses a body sent with %j', async (headers) => {
    const { to } = await transports.openTcp(new FakeTaker());
    const answer = await ask(`${to.address}/message`, {
      body: BODY,
      headers: headers,
    });
    expect(answer).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
  });

  it('takes a message of just the size that is allowed, and none above', async () => {
    const taker = new FakeTaker();
    const { to } = await transports.openTcp(taker, { maxMessageBytes: 1_000 });
    const size = (payload: string): string => JSON.stringify({ sender: 'baker', payload });
    const room = 1_000 - size('').length;
    const fits = await ask(`${to.address}/message`, { body: size('x'.repeat(room)) });
    const told = await ask(`${to.address}/message`, { body: size('x'.repeat(room + 1)) });
    const untold = await ask(`${to.address}/message`, {
      body: size('x'.repeat(room + 1)),
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    expect(fits.status).toBe(200);
    expect(told).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
    expect(untold).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
    expect(taker.taken).toHaveLength(1);
  });

  it('refuses a reply that is too long to be read', async () => {
    const taker = new FakeTaker();
    taker.reply = 'x'.repeat(2_000);
    const { to } = await transports.openTcp(taker, { maxMessageBytes: 1_000 });
    const answer = await ask(`${to.address}/message`, { body: BODY });
    expect(answer).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
  });
});

describe('what a receiver does not take', () => {
  it.each([
    ['GET', '/message', 405, 'method_not_allowed'],
    ['PUT', '/message', 405, 'method_not_allowed'],
    ['GET', '/messages', 405, 'method_not_allowed'],
    ['POST', '/messages', 405, 'method_not_allowed'],
    ['POST', '/', 404, 'not_found'],
    ['POST', '/message/more', 404, 'not_found'],
  ])('%s %s', async (method, path, status, code) => {
    const { to } = await transports.openTcp(new FakeTaker());
    const answer = await ask(to.address + path, { method });
    expect(answer).toMatchObject({ status, body: { code, success: false } });
  });

  it.each(['/m/default/pan/default', '/m/other/oven/default', ''])(
    'a message for %s, where nobody is',
    async (path) => {
      const { to } = await transports.openTcp(new FakeTaker());
      const answer = await ask(new URL(`${path}/message`, to.address).href, { body: BODY });
      expect(answer).toMatchObject({ status: 421, body: { code: 'wrong_receiver' } });
    },
  );

  it('a message from a page of another origin, whatever name it has for this machine', async () => {
    const taker = new FakeTaker();
    const { to, receiver } = await transports.openTcp(taker);
    const send = async (headers: Record<string, string>): Promise<number> =>
      (await ask(`${to.address}/message`, { body: BODY, headers })).status;
    const host = `rebound.example:${receiver.port}`;
    await expect(send({ Origin: 'https://evil.example' })).resolves.toBe(403);
    await expect(send({ Origin: 'null' })).resolves.toBe(403);
    await expect(send({ Origin: `http://${host}`, Host: host })).resolves.toBe(403);
    await expect(send({ Origin: `http://127.0.0.1:${receiver.port}` })).resolves.toBe(200);
    expect(taker.taken).toHaveLength(1);
  });

  it('bytes that are no HTTP, and goes on', async () => {
    const { to, receiver } = await transports.openTcp(new FakeTaker());
    const socket = createConnection(receiver.port, '127.0.0.1');
    socket.end('\x16\x03\x01 hello\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 .*"code":"invalid_request"/s);
    await expect(ask(`${to.address}/message`, { body: BODY })).resolves.toMatchObject({ status: 200 });
  });

  it('a request that trickles', async () => {
    const { receiver } = await transports.openTcp(new FakeTaker(), {
      headersTimeoutMs: 100,
      requestTimeoutMs: 100,
    });
    const socket = createConnection(receiver.port, '127.0.0.1');
    socket.write('POST /message HTTP/1.1\r\nHost: x\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
    socket.destroy();
  });

  it('more connections than its limit', async () => {
    const { receiver, to } = await transports.openTcp(new FakeTaker(), { maxConnections: 1 });
    const first = createConnection(receiver.port, '127.0.0.1');
    await once(first, 'connect');
    await eventually('one more is hung up on', async () =>
      ask(`${to.address}/message`, { body: BODY }).then(
        () => false,
        () => true,
      ),
    );
    first.destroy();
    await eventually('there is room again', async () =>
      ask(`${to.address}/message`, { body: BODY }).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });
});
