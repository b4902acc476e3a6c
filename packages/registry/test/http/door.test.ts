import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Problem } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send, sendRaw, type HttpAnswer, type HttpRequest } from '../support/http.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();
const TOKEN = 'a-secret-of-sixteen-or-more';

/** A registration that is fine; requests below spoil one thing of it. */
const fine = { id: 'oven', endpoint: 'http://oven', communication_mode: 'network' };
const json = { 'content-type': 'application/json' };
const register = (rest: object): HttpRequest => ({ body: { ...fine, ...rest } });
const deepList = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

type Case = readonly [
  what: string,
  path: string,
  request: HttpRequest,
  status: number,
  code?: string,
  field?: string,
];

/** Every kind of request that somebody may send, and what is to come back. */
const CASES: readonly Case[] = [
  [
    'a token where a batch should be',
    '/heartbeat',
    { body: { heartbeats: { lease_token: TOKEN } } },
    400,
    'invalid_request',
    'heartbeats',
  ],
  [
    'a token where a heartbeat should be',
    '/heartbeat',
    { body: { heartbeats: [TOKEN] } },
    400,
    'invalid_request',
    'heartbeats[0]',
  ],
  [
    'a batch too large, with tokens',
    '/heartbeat',
    { body: { heartbeats: Array.from({ length: 10_001 }, () => ({ lease_token: TOKEN, id: 'oven' })) } },
    400,
    'invalid_request',
    'heartbeats',
  ],
  ['a token in an id', '/register', register({ id: { lease_token: TOKEN } }), 400, 'invalid_request', 'id'],
  [
    'a scheme in another case',
    '/heartbeat',
    { body: { id: 'held' }, headers: { authorization: `lease ${TOKEN}` } },
    200,
  ],
  ['a fragment', '/discover/oven#x', {}, 200],
  ['a fragment after a slash', '/discover/oven/#x', {}, 200],
  [
    'an expectation that nobody meets',
    '/heartbeat',
    { body: { id: 'oven' }, headers: { expect: 'flowers' } },
    400,
    'invalid_request',
  ],
  ['a path that is nearly one', '/openapi_json', {}, 404, 'not_found'],
  ['a plain registration', '/register', register({}), 200],
  [
    'null for what is optional',
    '/register',
    register({
      parent: null,
      metadata: null,
      namespace: null,
      instance_id: null,
      endpoints: null,
      heartbeat_interval_ms: null,
      weight: null,
      relay: null,
      lease_token: null,
      attempt: null,
      health_check_url: null,
    }),
    200,
  ],
  ['unknown fields', '/register', register({ registered_at: 1, last_heartbeat: 'never', hat: {} }), 200],
  [
    'a field given twice, the last fine',
    '/register',
    { body: '{"id":"!","id":"oven","endpoint":"x","communication_mode":"ipc"}' },
    200,
  ],
  [
    'a field given twice, the last wrong',
    '/register',
    { body: '{"id":"oven","id":"!","endpoint":"x","communication_mode":"ipc"}' },
    400,
    'invalid_request',
    'id',
  ],
  ['no id', '/register', register({ id: undefined }), 400, 'invalid_request', 'id'],
  ['an id with a space', '/register', register({ id: 'a b' }), 400, 'invalid_request', 'id'],
  ['an id that climbs', '/register', register({ id: '../../etc' }), 400, 'invalid_request', 'id'],
  ['an id of 128 characters', '/register', register({ id: 'a'.repeat(128) }), 200],
  ['an id of 129 characters', '/register', register({ id: 'a'.repeat(129) }), 400, 'invalid_request', 'id'],
  ['a number as id', '/register', register({ id: 7 }), 400, 'invalid_request', 'id'],
  ['an empty parent', '/register', register({ parent: '' }), 400, 'invalid_request', 'parent'],
  ['an empty endpoint', '/register', register({ endpoint: '' }), 400, 'invalid_request', 'endpoint'],
  [
    'an endpoint with a line break',
    '/register',
    register({ endpoint: 'a\nb' }),
    400,
    'invalid_request',
    'endpoint',
  ],
  [
    'an endpoint too long',
    '/register',
    register({ endpoint: 'a'.repeat(2_049) }),
    400,
    'invalid_request',
    'endpoint',
  ],
  [
    'an unknown mode',
    '/register',
    register({ communication_mode: 'pigeon' }),
    400,
    'invalid_request',
    'communication_mode',
  ],
  [
    'an unknown mode in endpoints',
    '/register',
    register({
      endpoints: [
        { mode: 'ipc', address: 'x' },
        { mode: 'pigeon', address: 'x' },
      ],
    }),
    400,
    'invalid_request',
    'endpoints[1].mode',
  ],
  [
    'too many endpoints',
    '/register',
    register({ endpoints: Array.from({ length: 9 }, () => ({ mode: 'ipc', address: 'x' })) }),
    400,
    'invalid_request',
    'endpoints',
  ],
  [
    'a namespace too long',
    '/register',
    register({ namespace: 'n'.repeat(64) }),
    400,
    'invalid_request',
    'namespace',
  ],
  [
    'an interval too short',
    '/register',
    register({ heartbeat_interval_ms: 249 }),
    400,
    'invalid_request',
    'heartbeat_interval_ms',
  ],
  [
    'an interval that is no whole number',
    '/register',
    register({ heartbeat_interval_ms: 1_000.5 }),
    400,
    'invalid_request',
    'heartbeat_interval_ms',
  ],
  [
    'an interval as text',
    '/register',
    register({ heartbeat_interval_ms: '1000' }),
    400,
    'invalid_request',
    'heartbeat_interval_ms',
  ],
  ['a negative attempt', '/register', register({ attempt: -1 }), 400, 'invalid_request', 'attempt'],
  ['a short token', '/register', register({ lease_token: 'secret' }), 400, 'invalid_request', 'lease_token'],
  ['a list as metadata', '/register', register({ metadata: [] }), 400, 'invalid_request', 'metadata'],
  [
    '__proto__ in metadata',
    '/register',
    { body: JSON.stringify(fine).replace('}', ',"metadata":{"__proto__":{"admin":true}}}') },
    400,
    'invalid_request',
    'metadata',
  ],
  [
    '__proto__ deep in metadata',
    '/register',
    { body: JSON.stringify(fine).replace('}', ',"metadata":{"a":[{"__proto__":1}]}}') },
    400,
    'invalid_request',
    'metadata',
  ],
  [
    'other keys of prototypes in metadata',
    '/register',
    register({ metadata: { constructor: 1, prototype: 2, toString: 3 } }),
    200,
  ],
  ['16 KiB of metadata', '/register', register({ metadata: { a: 'x'.repeat(16_384 - 8) } }), 200],
  [
    'more than 16 KiB of metadata',
    '/register',
    register({ metadata: { a: 'x'.repeat(16_384 - 7) } }),
    400,
    'invalid_request',
    'metadata',
  ],
  [
    'more than 16 KiB of metadata in UTF-8 alone',
    '/register',
    register({ metadata: { a: 'é'.repeat(9_000) } }),
    400,
    'invalid_request',
    'metadata',
  ],
  [
    'JSON 100,000 levels deep',
    '/register',
    { body: `{"hat":${deepList(100_000)}}` },
    400,
    'invalid_request',
    '',
  ],
  [
    'metadata 40 levels deep',
    '/register',
    { body: JSON.stringify(fine).replace('}', `,"metadata":{"a":${deepList(40)}}}`) },
    400,
    'invalid_request',
    '',
  ],
  ['an empty body', '/register', { body: '' }, 400, 'invalid_request', ''],
  ['no body', '/register', { method: 'POST', headers: json }, 400, 'invalid_request', ''],
  ['broken JSON', '/register', { body: '{"id":' }, 400, 'invalid_request', ''],
  ['JSON that is a list', '/register', { body: '[]' }, 400, 'invalid_request', ''],
  ['JSON that is null', '/heartbeat', { body: 'null' }, 400, 'invalid_request', ''],
  [
    'bytes that are not UTF-8',
    '/register',
    { body: Buffer.from('7b226964223a22ff227d', 'hex') },
    400,
    'invalid_request',
    '',
  ],
  [
    'a body too large, said beforehand',
    '/register',
    { body: `{"hat":"${'x'.repeat(256 * 1024)}"}` },
    413,
    'payload_too_large',
  ],
  [
    'a body too large, in chunks',
    '/register',
    {
      body: `{"hat":"${'x'.repeat(256 * 1024)}"}`,
      headers: { 'transfer-encoding': 'chunked' },
    },
    413,
    'payload_too_large',
  ],
  [
    'no content type',
    '/register',
    { body: JSON.stringify(fine), headers: { 'content-type': '' } },
    415,
    'unsupported_media_type',
  ],
  [
    'a form',
    '/register',
    { body: 'id=oven', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    415,
    'unsupported_media_type',
  ],
  [
    'text that a browser sends without asking',
    '/heartbeat',
    { body: '{"id":"oven"}', headers: { 'content-type': 'text/plain' } },
    415,
    'unsupported_media_type',
  ],
  [
    'JSON in UTF-8, said so',
    '/register',
    { body: fine, headers: { 'content-type': 'application/json; charset="UTF-8"' } },
    200,
  ],
  [
    'JSON in another encoding',
    '/register',
    { body: fine, headers: { 'content-type': 'application/json; charset=latin1' } },
    415,
    'unsupported_media_type',
  ],
  [
    'a compressed body',
    '/register',
    { body: fine, headers: { 'content-encoding': 'gzip' } },
    415,
    'unsupported_media_type',
  ],
  [
    'a token in the header',
    '/register',
    { body: { ...fine, id: 'held' }, headers: { authorization: `Lease ${TOKEN}` } },
    200,
  ],
  [
    'a heartbeat with its token in the header',
    '/heartbeat',
    { body: { id: 'held' }, headers: { authorization: `Lease ${TOKEN}` } },
    200,
  ],
  ['a heartbeat without its token', '/heartbeat', { body: { id: 'held' } }, 409, 'lease_token_required'],
  [
    'a heartbeat with another token',
    '/heartbeat',
    { body: { id: 'held', lease_token: 'x'.repeat(20) } },
    409,
    'superseded',
  ],
  [
    'two tokens',
    '/heartbeat',
    { body: { id: 'held', lease_token: 'x'.repeat(20) }, headers: { authorization: `Lease ${TOKEN}` } },
    400,
    'invalid_request',
    'lease_token',
  ],
  ['a heartbeat', '/heartbeat', { body: { id: 'oven' } }, 200],
  ['a heartbeat of nobody', '/heartbeat', { body: { id: 'nobody' } }, 404, 'not_registered'],
  ['a heartbeat without id', '/heartbeat', { body: {} }, 400, 'invalid_request', 'id'],
  ['a batch', '/heartbeat', { body: { heartbeats: [{ id: 'oven' }, { id: 'nobody' }] } }, 200],
  [
    'a batch with a wrong id',
    '/heartbeat',
    { body: { heartbeats: [{ id: 'oven' }, { id: '!' }] } },
    400,
    'invalid_request',
    'heartbeats[1].id',
  ],
  [
    'a batch that is no list',
    '/heartbeat',
    { body: { heartbeats: 'all' } },
    400,
    'invalid_request',
    'heartbeats',
  ],
  [
    'a batch of 10,000',
    '/heartbeat',
    { body: { heartbeats: Array.from({ length: 10_000 }, () => ({ id: 'oven' })) } },
    200,
  ],
  [
    'a batch of 10,001',
    '/heartbeat',
    { body: { heartbeats: Array.from({ length: 10_001 }, () => ({ id: 'oven' })) } },
    400,
    'invalid_request',
    'heartbeats',
  ],
  ['a deregistration without a token', '/deregister', { body: { id: 'held' } }, 409, 'lease_token_required'],
  ['a deregistration of nobody', '/deregister', { body: { id: 'nobody' } }, 404, 'not_registered'],
  [
    'a deregistration that does what with the children',
    '/deregister',
    { body: { id: 'oven', children: 'sell' } },
    400,
    'invalid_request',
    'children',
  ],
  ['a discovery', '/discover/oven', {}, 200],
  ['a discovery, percent-encoded', '/discover/%6fven', {}, 200],
  ['a discovery in a namespace', '/discover/oven?namespace=default', {}, 200],
  ['a discovery in another namespace', '/discover/oven?namespace=other', {}, 404, 'not_found'],
  ['a discovery of nobody', '/discover/nobody', {}, 404, 'not_found'],
  [
    'a namespace given twice',
    '/discover/oven?namespace=a&namespace=b',
    {},
    400,
    'invalid_request',
    'namespace',
  ],
  ['a namespace that is none', '/discover/oven?namespace=%20', {}, 400, 'invalid_request', 'namespace'],
  ['an encoded slash', '/discover/a%2Fb', {}, 400, 'invalid_request', 'id'],
  ['a broken encoding', '/discover/%ZZ', {}, 400, 'invalid_request', 'id'],
  ['a lone byte, encoded', '/discover/%ff', {}, 400, 'invalid_request', 'id'],
  ['a slash at the end', '/discover/oven/', {}, 200],
  ['no id in the path', '/discover/', {}, 404, 'not_found'],
  ['a path below', '/discover/oven/kitchen', {}, 404, 'not_found'],
  ['a path that climbs', '/discover/../status', {}, 404, 'not_found'],
  ['two slashes', '//discover/oven', {}, 404, 'not_found'],
  ['another case', '/Discover/oven', {}, 404, 'not_found'],
  ['a path of nothing', '/wp-admin.php', {}, 404, 'not_found'],
  ['a way out of the assets', '/docs/assets/../../package.json', {}, 404, 'not_found'],
  ['a way out of the assets, encoded', '/docs/assets/%2e%2e%2f%2e%2e%2fpackage.json', {}, 404, 'not_found'],
  ['HEAD', '/discover/oven', { method: 'HEAD' }, 200],
  ['a wrong method', '/register', { method: 'GET' }, 405, 'method_not_allowed'],
  ['another wrong method', '/heartbeat', { method: 'DELETE' }, 405, 'method_not_allowed'],
  [
    'a wrong method on a path with an id',
    '/discover/oven',
    { method: 'POST', body: {} },
    405,
    'method_not_allowed',
  ],
  ['OPTIONS', '/list', { method: 'OPTIONS' }, 405, 'method_not_allowed'],
  ['a list', '/list', {}, 200],
  ['a page size of 0', '/list?limit=0', {}, 400, 'invalid_request', 'limit'],
  ['a page size too large', '/list?limit=10001', {}, 400, 'invalid_request', 'limit'],
  ['a page size that is no number', '/list?limit=1e3', {}, 400, 'invalid_request', 'limit'],
  ['a cursor that nobody gave', '/list?cursor=next', {}, 400, 'invalid_request', 'cursor'],
  ['a status that is none', '/list?status=dead', {}, 400, 'invalid_request', 'status'],
  ['a mode that is none', '/list?communication_mode=', {}, 400, 'invalid_request', 'communication_mode'],
  ['events since nonsense', '/events?since=yesterday', {}, 400, 'invalid_request', 'since'],
  ['events of another log', '/events?since=other:1', {}, 400, 'invalid_request'],
];

/** What differs from one answer to the next and says nothing about the path it took. */
function withoutVolatile({ status, headers, text }: HttpAnswer): object {
  return {
    status,
    type: headers['content-type'],
    allow: headers.allow,
    retryAfter: headers['retry-after'],
    hasRevision: headers['x-membrane-revision'] !== undefined,
    text: text
      .replace(/"(registered_at|last_heartbeat|timestamp|revision|incarnation)":[\d.]+/g, '"$1":0')
      .replace(/log [0-9a-f-]{49}/g, 'log'),
  };
}

describe.each([
  ['the fast path', true],
  ['Express', false],
])('a door behind %s', (_, fastPath) => {
  it.each(CASES.map(([what, ...rest]) => [what, rest] as const))('answers %s', async (_what, rest) => {
    const [path, request, status, code, field] = rest;
    const { url } = await startRegistry({}, { http: { fastPath } });
    await send(url, '/register', register({}));
    await send(url, '/register', { body: { ...fine, id: 'held', lease_token: TOKEN } });
    const answer = await send(url, path, request);
    expect(answer.status).toBe(status);
    if (code === undefined) return;
    const problem = answer.json as Problem;
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(problem).toMatchObject({ code, status, success: false, type: `urn:membrane:error:${code}` });
    expect(problem.detail).not.toBe('');
    if (field !== undefined) expect(problem.errors?.map(({ path }) => path)).toEqual([field]);
    expect(answer.text).not.toMatch(/ {4}at |node_modules|\.ts:/);
    expect(answer.text).not.toContain(TOKEN);
    if (status === 405) expect(answer.headers.allow).toMatch(/^(GET, HEAD|POST)$/);
  });

  it('names the field, the value and what would be right', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    const { json } = await send(url, '/register', register({ id: 'a b', communication_mode: 'pigeon' }));
    expect((json as Problem).errors).toEqual([
      {
        path: 'id',
        message: expect.stringMatching(/^must be 1 to 128 letters, digits.*; got "a b"$/) as string,
      },
      {
        path: 'communication_mode',
        message: 'must be one of "shared-volume", "network", "ipc"; got "pigeon"',
      },
    ]);
  });

  it('does not quote a broken body, which may hold a token', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    const { json } = await send(url, '/heartbeat', { body: `{"lease_token":"${TOKEN}","id":}` });
    expect((json as Problem).detail).toBe("the body must be JSON; Unexpected token '}'");
  });

  it('tells what of a batch failed', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    await send(url, '/register', register({}));
    await send(url, '/register', { body: { ...fine, id: 'held', lease_token: TOKEN } });
    const heartbeats = [
      { id: 'oven' },
      { id: 'held' },
      { id: 'held', lease_token: 'x'.repeat(16) },
      { id: 'nobody' },
    ];
    expect((await send(url, '/heartbeat', { body: { lease_token: TOKEN, heartbeats } })).json).toEqual({
      success: false,
      renewed: 2,
      failed: [
        { index: 2, id: 'held', code: 'superseded' },
        { index: 3, id: 'nobody', code: 'not_registered' },
      ],
    });
  });

  it('says at which revision of which log it answered', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    const registered = await send(url, '/register', register({}));
    const { revision } = registered.json as { revision: number };
    const discovered = await send(url, '/discover/oven');
    expect(discovered.headers['x-membrane-revision']).toBe(registered.headers['x-membrane-revision']);
    expect(discovered.headers['x-membrane-revision']).toMatch(
      new RegExp(`^[0-9a-f-]{36}-[0-9a-f]{12}:${revision}$`),
    );
  });

  it('gives up on a body that comes too slowly', async () => {
    const timeouts = { headersMs: 300, requestMs: 400, checkMs: 50 };
    const { url } = await startRegistry({}, { http: { fastPath, timeouts } });
    const head =
      'POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n';
    const received = await sendRaw(url, head, '{"id":"oven",');
    expect(received).toMatch(/^HTTP\/1\.1 408 [^]*"code":"request_timeout"/);
    expect((await send(url, '/list')).json).toEqual([]);
  });

  it('goes on when a sender leaves in the middle of its body', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    for (let count = 0; count < 50; count += 1) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(
        'POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"id"',
      );
      socket.destroy();
    }
    expect((await send(url, '/list')).json).toEqual([]);
  });

  it('answers a request that was refused for its size, and the next on the same connection', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    const body = `{"hat":"${'x'.repeat(300_000)}"}`;
    const head = `POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const received = await sendRaw(
      url,
      head + body,
      'GET /discover/nobody HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    expect(received).toMatch(/^HTTP\/1\.1 413 [^]*HTTP\/1\.1 404 /);
  });

  it('waits for a body until it is asked for, where the sender wants that', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    const body = JSON.stringify(fine);
    const head = `POST /register HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(await sendRaw(url, head, body)).toMatch(/^HTTP\/1\.1 100 Continue[^]*HTTP\/1\.1 200 /);
  });

  it('answers pipelined requests in their order', async () => {
    const { url } = await startRegistry({}, { http: { fastPath } });
    const body = JSON.stringify(fine);
    const received = await sendRaw(
      url,
      `POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
        'GET /discover/nobody HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
  });
});

it('gives the same answer by either path', async () => {
  const fast = await startRegistry({}, { http: { fastPath: true } });
  const slow = await startRegistry({}, { http: { fastPath: false } });
  for (const [what, path, request] of CASES) {
    const [left, right] = await Promise.all([send(fast.url, path, request), send(slow.url, path, request)]);
    expect({ what, answer: withoutVolatile(left) }).toEqual({ what, answer: withoutVolatile(right) });
  }
});

it('answers while a thousand connections say nothing, and closes them in time', async () => {
  const { url } = await startRegistry(
    {},
    { http: { timeouts: { headersMs: 1_000, requestMs: 2_000, checkMs: 50 } } },
  );
  const sockets: Socket[] = [];
  let closed = 0;
  for (let count = 0; count < 1_000; count += 1) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket
      .on('error', () => undefined)
      .on('close', () => (closed += 1))
      .resume();
    sockets.push(socket);
  }
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  expect((await send(url, '/register', register({}))).status).toBe(200);
  expect((await send(url, '/list')).json).toHaveLength(1);
  await eventually('all are closed', () => closed === 1_000);
});

it('keeps an idle connection longer than proxies do', async () => {
  const { url } = await startRegistry();
  const { headers } = await send(url, '/status', { headers: { connection: 'keep-alive' } });
  expect(Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])).toBeGreaterThan(60);
});

it.each([
  [
    'a head too large',
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  ['what is not HTTP', '\u0016\u0003\u0001\u0000garbage\r\n\r\n', 400, 'invalid_request'],
  [
    'a length that is no number',
    'POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n',
    400,
    'invalid_request',
  ],
  [
    'two lengths',
    'POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'invalid_request',
  ],
])('answers %s with a problem', async (_, bytes, status, code) => {
  const { url } = await startRegistry();
  const received = await sendRaw(url, bytes);
  expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*"code":"${code}"`));
});

it('writes no second answer into one that is on its way, and none for what it did', async () => {
  const { url } = await startRegistry(
    {},
    { http: { timeouts: { headersMs: 300, requestMs: 400, checkMs: 50 } } },
  );
  const body = JSON.stringify(fine);
  const head = (length: number, type = 'application/json'): string =>
    `POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;
  // It is being registered: whatever comes next cannot be told as its refusal.
  expect(await sendRaw(url, `${head(body.length)}${body}garbage\r\n\r\n`)).not.toContain('HTTP/1.1 400');

  const pad = 'x'.repeat(3_000);
  const ids = Array.from({ length: 1_000 }, (_, index) => `member-${index}`);
  await Promise.all(ids.map((id) => send(url, '/register', register({ id, metadata: { pad } }))));
  const listed = await sendRaw(url, 'GET /list HTTP/1.1\r\nHost: x\r\n\r\ngarbage\r\n\r\n');
  expect(listed.match(/HTTP\/1\.1 \d+/g) ?? []).not.toContain('HTTP/1.1 400');

  // Refused before its body came, which then never comes.
  const refused = await sendRaw(url, `${head(100, 'text/plain')}{`);
  expect(refused.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 415']);
});

it('wants a host of HTTP/1.1', async () => {
  const { url } = await startRegistry();
  const received = await sendRaw(url, 'GET /status HTTP/1.1\r\nConnection: close\r\n\r\n');
  expect(received).toMatch(/^HTTP\/1\.1 400 [^]*"code":"invalid_request"/);
});

it('takes the absolute form of a request target', async () => {
  const { url } = await startRegistry();
  await send(url, '/register', register({}));
  expect((await send(url, `${url}/discover/oven`)).status).toBe(200);
});
