import { once } from 'node:events';
import { request } from 'node:http';
import type { DeadLetter, MailboxItem, MailboxPostAnswer, Problem, RegistryStatus } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send, type HttpAnswer, type HttpRequest } from '../support/http.js';
import { FlakyStore } from '../support/registry-core.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();
const TOKEN = 'a-token-of-32-characters-or-more';
const LEASE = { authorization: `Lease ${TOKEN}` };
const MAX_MESSAGE_BYTES = 1024 * 1024;

const register = (url: string, id: string, rest: object = {}): Promise<HttpAnswer> =>
  send(url, '/register', { body: { id, endpoint: 'http://x', communication_mode: 'network', ...rest } });

const message = (rest: object = {}): HttpRequest => ({ body: { sender: 'cook', payload: 'bread', ...rest } });

function ids({ json }: HttpAnswer): (string | null | undefined)[] {
  return (json as MailboxItem[]).map(({ envelope }) => envelope.id);
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

/** A message whose envelope has exactly so many bytes as JSON. */
function messageOf(bytes: number): HttpRequest {
  const empty = JSON.stringify({ sender: 'cook', payload: '' });
  return { body: JSON.stringify({ sender: 'cook', payload: 'x'.repeat(bytes - empty.length) }) };
}

type Case = readonly [what: string, path: string, request: HttpRequest, status: number, code?: string];

/** `oven` holds no lease token, `held` does. */
const CASES: readonly Case[] = [
  ['a plain message', '/messages/oven', message(), 202],
  ['a slash at the end', '/messages/oven/', message(), 202],
  ['an encoded id', '/messages/%6fven', message(), 202],
  ['a namespace in the query', '/messages/oven?namespace=default', message(), 202],
  ['a namespace in both', '/messages/oven?namespace=default', message({ namespace: 'default' }), 202],
  ['null for what is optional', '/messages/oven', message({ id: null, target: null, ttl_ms: null }), 202],
  ['unknown fields', '/messages/oven', message({ hat: {}, lease_token: 7 }), 202],
  ['a payload of null', '/messages/oven', message({ payload: null }), 202],
  ['a payload of 32 levels', '/messages/oven', message({ payload: nested(32) }), 202],
  ['an envelope of exactly 1 MiB', '/messages/oven', messageOf(MAX_MESSAGE_BYTES), 202],
  [
    'one of 1 MiB and white space around',
    '/messages/oven',
    { body: ` ${String(messageOf(MAX_MESSAGE_BYTES).body)} ` },
    202,
  ],
  [
    'an envelope of 1 MiB and a byte',
    '/messages/oven',
    messageOf(MAX_MESSAGE_BYTES + 1),
    413,
    'payload_too_large',
  ],
  ['a body far too large', '/messages/oven', messageOf(2 * MAX_MESSAGE_BYTES), 413, 'payload_too_large'],
  ['a payload of 33 levels', '/messages/oven', message({ payload: nested(33) }), 400, 'invalid_request'],
  ['another target', '/messages/oven', message({ target: 'held' }), 400, 'invalid_request'],
  [
    'another namespace',
    '/messages/oven?namespace=default',
    message({ namespace: 'x' }),
    400,
    'invalid_request',
  ],
  ['no payload', '/messages/oven', { body: { sender: 'cook' } }, 400, 'invalid_request'],
  ['no sender', '/messages/oven', { body: { payload: 1 } }, 400, 'invalid_request'],
  ['more time than 7 days', '/messages/oven', message({ ttl_ms: 604_800_001 }), 400, 'invalid_request'],
  ['no time left', '/messages/oven', message({ ttl_ms: 0 }), 504, 'expired'],
  ['a wrong id', '/messages/o%20ven', message(), 400, 'invalid_request'],
  ['a broken id', '/messages/%zz', message(), 400, 'invalid_request'],
  ['one nobody knows', '/messages/nobody', message(), 404, 'not_found'],
  ['one of another namespace', '/messages/oven', message({ namespace: 'other' }), 404, 'not_found'],
  [
    'text',
    '/messages/oven',
    { body: 'hello', headers: { 'content-type': 'text/plain' } },
    415,
    'unsupported_media_type',
  ],
  ['no id', '/messages/', message(), 404, 'not_found'],
  ['another method', '/messages/oven', { method: 'DELETE' }, 405, 'method_not_allowed'],
  ['an empty mailbox', '/messages/oven?namespace=default&max=1&wait_ms=0', {}, 200],
  ['a token in a header', '/messages/held', { headers: LEASE }, 200],
  ['an instance', '/messages/held?instance_id=default', { headers: LEASE }, 200],
  ['no token', '/messages/held', {}, 409, 'lease_token_required'],
  [
    'the wrong token',
    '/messages/held',
    { headers: { authorization: 'Lease 1234567890123456' } },
    409,
    'superseded',
  ],
  [
    'what is no token',
    '/messages/held',
    { headers: { authorization: 'Lease short' } },
    400,
    'invalid_request',
  ],
  ['an instance nobody has', '/messages/oven?instance_id=two', {}, 404, 'not_registered'],
  ['a collector nobody knows', '/messages/nobody', {}, 404, 'not_registered'],
  ['too many at once', '/messages/oven?max=1001', {}, 400, 'invalid_request'],
  ['none at once', '/messages/oven?max=0', {}, 400, 'invalid_request'],
  ['a wait too long', '/messages/oven?wait_ms=600001', {}, 400, 'invalid_request'],
  ['a key given twice', '/messages/oven?max=1&max=2', {}, 400, 'invalid_request'],
  ['a void receipt', '/messages/oven/ack', { body: { acks: [{ receipt: 'x', outcome: 'processed' }] } }, 200],
  ['no acks', '/messages/oven/ack', { body: { acks: [] } }, 200],
  ['an ack with its token', '/messages/held/ack', { body: { acks: [], lease_token: TOKEN } }, 200],
  ['an ack with a header', '/messages/held/ack', { body: { acks: [] }, headers: LEASE }, 200],
  ['an ack without token', '/messages/held/ack', { body: { acks: [] } }, 409, 'lease_token_required'],
  ['an ack of nobody', '/messages/nobody/ack', { body: { acks: [] } }, 404, 'not_registered'],
  [
    'another outcome',
    '/messages/oven/ack',
    { body: { acks: [{ receipt: 'x', outcome: 'eaten' }] } },
    400,
    'invalid_request',
  ],
  ['acks by GET', '/messages/oven/ack', {}, 405, 'method_not_allowed'],
  ['a message for one called ack', '/messages/ack', message(), 404, 'not_found'],
  ['an ack of no id', '/messages//ack', { body: { acks: [] } }, 404, 'not_found'],
  ['dead letters', '/messages/oven/dead?limit=5', {}, 200],
  ['dead letters of nobody', '/messages/nobody/dead', {}, 200],
  ['too many dead letters', '/messages/oven/dead?limit=1001', {}, 400, 'invalid_request'],
  ['all put back', '/messages/oven/dead', { body: { action: 'requeue' } }, 200],
  ['some discarded', '/messages/oven/dead', { body: { action: 'discard', message_ids: ['a'] } }, 200],
  ['another action', '/messages/oven/dead', { body: { action: 'bury' } }, 400, 'invalid_request'],
];

describe.each([
  ['the fast path', true],
  ['Express', false],
])('by %s', (_path, fastPath) => {
  let url: string;

  beforeEach(async () => {
    ({ url } = await startRegistry({}, { http: { fastPath }, hideMs: 400 }));
    await register(url, 'oven');
    await register(url, 'held', { lease_token: TOKEN });
  });

  it.each(CASES.map(([what, ...rest]) => [what, rest] as const))('answers %s', async (_what, rest) => {
    const [path, asked, status, code] = rest;
    const answer = await send(url, path, asked);
    expect({ status: answer.status, code: (answer.json as Problem | null)?.code }).toEqual({ status, code });
    if (status === 413) expect((await send(url, '/status')).status).toBe(200);
  });

  it('keeps a message, hands it out, and is told what became of it', async () => {
    const posted = await send(url, '/messages/held', message({ type: 'bake' }));
    const { message_id: id, ...rest } = posted.json as MailboxPostAnswer;
    expect([posted.status, rest]).toEqual([202, { success: true, queued: true }]);
    const collected = await send(url, '/messages/held', { headers: LEASE });
    const [item] = collected.json as [MailboxItem];
    expect(collected.json).toEqual([
      {
        receipt: expect.any(String) as string,
        envelope: {
          id,
          sender: 'cook',
          target: 'held',
          namespace: 'default',
          type: 'bake',
          payload: 'bread',
          attempt: 1,
          ttl_ms: expect.any(Number) as number,
        },
      },
    ]);
    const status = (await send(url, '/status')).json as RegistryStatus;
    expect(status.mailbox).toMatchObject({ messages: 1, dead_letters: 0 });
    const body = { acks: [{ receipt: item.receipt, outcome: 'failed', reason: 'too hot' }] };
    const acked = await send(url, '/messages/held/ack', { body, headers: LEASE });
    expect(acked.json).toEqual({ success: true, unknown: [] });
    const [letter] = (await send(url, '/messages/held/dead')).json as [DeadLetter];
    expect(letter).toMatchObject({
      message_id: id,
      code: 'handler_failed',
      reason: 'too hot',
      envelope: { id, payload: 'bread', attempt: 1 },
    });
    expect(Math.abs(letter.died_at - Date.now() / 1_000)).toBeLessThan(60);
    const requeued = await send(url, '/messages/held/dead', { body: { action: 'requeue' } });
    expect(requeued.json).toEqual({ success: true, changed: 1, unknown: [] });
    expect(ids(await send(url, '/messages/held', { headers: LEASE }))).toEqual([id]);
  });

  it('gives a payload back as it came', async () => {
    const payload = '{"__proto__":{"a":1},"":[null,1e3,-0.5,"\\u0000é😀\\ud800"],"text":"\\"quoted\\""}';
    await send(url, '/messages/oven', { body: `{"sender":"cook","payload":${payload}}` });
    const { text } = await send(url, '/messages/oven');
    const [, received = ''] = /"payload":(.*),"id":/.exec(text) ?? [];
    expect(received).toBe(JSON.stringify(JSON.parse(payload)));
  });

  it('says how long to wait where a mailbox is full', async () => {
    const { url: small } = await startRegistry({ maxMailboxMessages: 1 }, { http: { fastPath } });
    await register(small, 'oven');
    await send(small, '/messages/oven', message());
    const refused = await send(small, '/messages/oven', message());
    expect([refused.status, refused.headers['retry-after'], (refused.json as Problem).code]).toEqual([
      429,
      '5',
      'mailbox_full',
    ]);
  });

  it('wakes who waits by a message', async () => {
    const waiting = send(url, '/messages/oven?wait_ms=20000');
    const startMs = performance.now();
    await send(url, '/messages/oven', message({ id: 'a' }));
    expect(ids(await waiting)).toEqual(['a']);
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('wakes who waits by a message that nobody acknowledged', async () => {
    await send(url, '/messages/oven', message({ id: 'a' }));
    expect(ids(await send(url, '/messages/oven'))).toEqual(['a']);
    const startMs = performance.now();
    const again = await send(url, '/messages/oven?wait_ms=20000');
    expect((again.json as MailboxItem[])[0]?.envelope).toMatchObject({ id: 'a', attempt: 2 });
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('answers with nothing when the wait is over', async () => {
    const startMs = performance.now();
    const answer = await send(url, '/messages/oven?wait_ms=200');
    expect([answer.status, answer.json]).toEqual([200, []]);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(195);
  });

  it('tells who waits when its registration is another', async () => {
    const waiting = send(url, '/messages/held?wait_ms=20000', { headers: LEASE });
    await register(url, 'held', { lease_token: 'another-token-of-32-characters-or-more' });
    expect((await waiting).json).toMatchObject({ code: 'superseded' });
  });

  it('hands out nothing to a collector that has gone', async () => {
    const { url: other } = await startRegistry({}, { http: { fastPath } });
    await register(other, 'oven');
    const waiting = request(`${other}/messages/oven?wait_ms=20000`, { agent: false }).on(
      'error',
      () => undefined,
    );
    waiting.end();
    await once(waiting, 'finish');
    // It has been read, as the request after it has; so has its end, after the next ones.
    await send(other, '/status');
    const closed = new Promise((resolve) => waiting.on('close', resolve));
    waiting.destroy();
    await closed;
    for (let count = 0; count < 3; count += 1) await send(other, '/status');
    await send(other, '/messages/oven', message({ id: 'a' }));
    expect(ids(await send(other, '/messages/oven'))).toEqual(['a']);
  });

  it('shows messages to nobody who asks for the head alone', async () => {
    await send(url, '/messages/oven', message({ id: 'a' }));
    const head = await send(url, '/messages/oven', { method: 'HEAD' });
    expect([head.status, head.headers.allow]).toEqual([405, 'GET, POST']);
    expect(ids(await send(url, '/messages/oven'))).toEqual(['a']);
  });

  it('shares messages among those who wait, each to one', async () => {
    // One that hides them for so long that none comes again meanwhile.
    const { url: patient } = await startRegistry({}, { http: { fastPath } });
    await register(patient, 'oven');
    const waiting = Array.from({ length: 20 }, () => send(patient, '/messages/oven?wait_ms=20000&max=1'));
    await send(patient, '/status');
    for (let index = 0; index < 20; index += 1) {
      await send(patient, '/messages/oven', message({ id: `m-${index}` }));
    }
    const first = (await Promise.all(waiting)).flatMap(ids);
    expect(new Set(first).size).toBe(20);
  });
});

it('answers those who wait when it stops, and loses nothing', async () => {
  const { registry, url } = await startRegistry();
  await register(url, 'oven');
  const waiting = send(url, '/messages/oven?wait_ms=60000');
  await send(url, '/status');
  const startMs = performance.now();
  await registry.stop();
  const answer = await waiting;
  expect([answer.status, answer.json]).toEqual([200, []]);
  expect(performance.now() - startMs).toBeLessThan(2_500);
});

it('acknowledges nothing while the store fails, and keeps what it had', async () => {
  const store = new FlakyStore();
  const { url } = await startRegistry({ cleanupIntervalMs: 50 }, { store });
  await register(url, 'oven');
  await send(url, '/messages/oven', message({ id: 'a', ttl_ms: 300 }));
  store.isFailing = true;
  const refused = await send(url, '/messages/oven', message({ id: 'b' }));
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
  const endMs = performance.now() + 600;
  await eventually('its time is over', () => performance.now() > endMs);
  expect((await send(url, '/messages/oven/dead')).json).toEqual([]);
  store.isFailing = false;
  await eventually('it has died', async () => (await send(url, '/messages/oven/dead')).text !== '[]');
  expect((await send(url, '/messages/oven', message({ id: 'b' }))).status).toBe(202);
  expect(ids(await send(url, '/messages/oven'))).toEqual(['b']);
});
