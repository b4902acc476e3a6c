import {
  envelopeSchema,
  ERROR_CODES,
  fromProblem,
  fromWire,
  isDeeperThan,
  isMembraneError,
  LIMITS,
  MembraneError,
  membraneIdSchema,
  messageKey,
  metadataSchema,
  parseDurationMs,
  parseTarget,
  registrationRequestSchema,
  ROUTES,
  toProblem,
  toWire,
  validate,
} from '../src/index.js';

function fieldErrors(input: unknown): unknown {
  try {
    validate(registrationRequestSchema, input, 'body');
  } catch (error) {
    return (error as MembraneError).details.errors;
  }
  return [];
}

const fine = { id: 'oven', endpoint: 'http://oven', communication_mode: 'network' };

describe('what cannot be used', () => {
  it('is named with its value and what would be right', () => {
    expect(
      fieldErrors({ ...fine, weight: -1, heartbeat_interval_ms: '5s', endpoints: [{ mode: 'ipc' }] }),
    ).toEqual([
      { path: 'endpoints[0].address', message: 'must be of type string; got nothing' },
      { path: 'heartbeat_interval_ms', message: 'must be of type number; got "5s"' },
      { path: 'weight', message: 'must be at least 0; got -1' },
    ]);
  });

  it('is shown shortened, and a lease token not at all', () => {
    expect(fieldErrors({ ...fine, id: '!'.repeat(500) })).toEqual([
      { path: 'id', message: expect.stringMatching(/; got "!{79}…$/) as string },
    ]);
    const [error] = fieldErrors({ ...fine, lease_token: 'secret' }) as { message: string }[];
    expect(error?.message).toMatch(/^must be 16 to 256 printable ASCII characters/);
    expect(error?.message).not.toContain('secret');
  });

  it('is reported a few at a time', () => {
    const endpoints = Array.from({ length: 8 }, () => ({ mode: 'pigeon', address: '' }));
    expect(fieldErrors({ ...fine, endpoints })).toHaveLength(8);
  });
});

describe('names', () => {
  it.each(['a', 'A-1._:z', '0', 'a'.repeat(128)])('%s is an id', (id) => {
    expect(membraneIdSchema.safeParse(id).success).toBe(true);
  });

  it.each(['', '-a', '.', 'a/b', 'a b', 'ä', 'a\n', 'a'.repeat(129)])('%j is none', (id) => {
    expect(membraneIdSchema.safeParse(id).success).toBe(false);
  });
});

describe('metadata', () => {
  const isMetadata = (value: unknown): boolean => metadataSchema.safeParse(value).success;

  it('is any JSON object of its size', () => {
    expect(isMetadata({})).toBe(true);
    expect(isMetadata({ a: [{ b: null }], __proto: 1, text: '"__proto__"' })).toBe(true);
    expect(isMetadata({ a: 'x'.repeat(LIMITS.maxMetadataBytes - '{"a":""}'.length) })).toBe(true);
    expect(isMetadata({ a: 'x'.repeat(LIMITS.maxMetadataBytes - '{"a":""}'.length + 1) })).toBe(false);
    expect(isMetadata({ a: 'é'.repeat(LIMITS.maxMetadataBytes / 2) })).toBe(false);
  });

  it.each([
    '{"__proto__":1}',
    '{"a":{"__proto__":{}}}',
    '{"a":[[{"__proto__":[]}]]}',
    '[]',
    '"a"',
    'null',
    '1',
  ])('is not %s', (text) => {
    expect(isMetadata(JSON.parse(text))).toBe(false);
  });

  it('is not nested deeply', () => {
    let value: object = {};
    for (let level = 0; level < 100_000; level += 1) value = { value };
    expect(isMetadata(value)).toBe(false);
    expect(isDeeperThan({ a: [1] }, 2)).toBe(false);
    expect(isDeeperThan({ a: [1] }, 1)).toBe(true);
  });
});

describe('the case of the wire', () => {
  it('turns there and back, and leaves alone what is the user’s own', () => {
    const wire = {
      instance_id: 'r1',
      last_heartbeat: 1.5,
      endpoints: [{ mode: 'ipc', health_check_url: null }],
      metadata: { snake_case: { camelCase: 1 } },
      namespaces: { my_space: { active: 1 } },
    };
    expect(fromWire(wire)).toEqual({
      instanceId: 'r1',
      lastHeartbeat: 1.5,
      endpoints: [{ mode: 'ipc', healthCheckUrl: null }],
      metadata: { snake_case: { camelCase: 1 } },
      namespaces: { my_space: { active: 1 } },
    });
    expect(toWire(fromWire(wire))).toEqual(wire);
  });
});

it.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['30', 30_000],
  ['0.5', 500],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['', undefined],
  ['s', undefined],
  ['-1s', undefined],
  ['1e3', undefined],
  ['5 parsecs', undefined],
])('the duration %j is %p ms', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

describe('errors', () => {
  it('survive the way over the wire', () => {
    const error = new MembraneError('conflict', 'it is so', {
      details: { errors: [{ path: 'a', message: 'b' }] },
    });
    const received = fromProblem(JSON.parse(JSON.stringify(toProblem(error))), 1_000);
    expect(received).toMatchObject({ code: 'conflict', message: 'it is so', status: 409, retryable: false });
    expect(received?.details).toEqual({ errors: [{ path: 'a', message: 'b' }], retryAfterMs: 1_000 });
    expect(isMembraneError(received)).toBe(true);
  });

  it.each([
    undefined,
    null,
    'no',
    {},
    { code: 'conflict' },
    { ...toProblem(new MembraneError('cycle', '')), code: 'new' },
  ])('are not read into %j', (body) => {
    expect(fromProblem(body)).toBeUndefined();
  });

  it('have a status, and only those of the moment can be tried again', () => {
    for (const { status, title } of Object.values(ERROR_CODES)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(title).not.toBe('');
    }
    const passing = Object.entries(ERROR_CODES).filter(([, { retryable }]) => retryable);
    expect(passing.map(([code]) => code).sort()).toEqual([
      'handler_failed',
      'inbox_full',
      'mailbox_full',
      'no_handler',
      'not_delivered',
      'not_ready',
      'rate_limited',
      'registry_unreachable',
      'request_timeout',
      'store_unavailable',
      'wrong_receiver',
    ]);
  });

  it('of every route are in the table', () => {
    for (const { errors } of Object.values(ROUTES)) {
      for (const code of errors) expect(ERROR_CODES).toHaveProperty(code);
    }
  });
});

describe('a target', () => {
  it.each([
    ['oven', { kind: 'one', id: 'oven' }],
    ['@out', { kind: 'out' }],
    ['@in:oven', { kind: 'child', id: 'oven' }],
    ['@in*', { kind: 'children' }],
    ['@siblings', { kind: 'siblings' }],
    ['@subtree', { kind: 'subtree', id: undefined }],
    ['@subtree:kitchen', { kind: 'subtree', id: 'kitchen' }],
    ['@any:oven', { kind: 'any', id: 'oven' }],
    ['@all:oven', { kind: 'all', id: 'oven' }],
  ])('%s is understood', (text, target) => {
    expect(parseTarget(text)).toEqual(target);
  });

  it.each(['', '@', '@in', '@in:', '@all', '@any:', '@out:x', '@nobody', 'an oven', '@in:an oven', '@in*:x'])(
    '"%s" is refused in words',
    (text) => {
      expect(() => parseTarget(text)).toThrow(`target must be an id, @out, @in:ID`);
      expect(() => parseTarget(text)).toThrow(`got "${text}"`);
    },
  );
});

describe('an envelope', () => {
  it('needs a sender and a payload, whatever that is', () => {
    for (const payload of [null, 0, '', 'hello', [], { a: [1] }]) {
      expect(validate(envelopeSchema, { sender: 'cook', payload }, 'envelope')).toEqual({
        sender: 'cook',
        payload,
      });
    }
    expect(() => validate(envelopeSchema, { sender: 'cook' }, 'envelope')).toThrow('payload must be given');
    expect(() => validate(envelopeSchema, { payload: 1 }, 'envelope')).toThrow(
      'sender must be of type string',
    );
  });

  it.each([
    [{ id: 'a b' }, 'id must be'],
    [{ sequence: 0 }, 'sequence must be at least 1'],
    [{ ttl_ms: -1 }, 'ttl_ms must be at least 0'],
    [{ stream: '' }, 'stream must not be empty'],
    [{ path: Array.from({ length: 17 }, () => 'x') }, 'path must be at most 16'],
  ])('with %p is refused in words', (given, words) => {
    expect(() => validate(envelopeSchema, { sender: 'cook', payload: 1, ...given }, 'envelope')).toThrow(
      words,
    );
  });
});

describe('the key of a message', () => {
  const keyOf = (rest: object): string => messageKey({ id: '1', sender: 'alice', payload: 'bread', ...rest });

  it('is its id where a session made it', () => {
    expect(keyOf({ session: 's' })).toBe('1');
    expect(keyOf({ session: 's', payload: 'cake' })).toBe('1');
  });

  it('tells foreign messages apart by their sender, their id and what they say', () => {
    const others = [
      { sender: 'bob' },
      { id: '2' },
      { payload: 'cake' },
      { type: 'bake' },
      { stream: 's' },
      { correlation_id: 'q' },
    ];
    expect(new Set([{}, ...others].map(keyOf)).size).toBe(others.length + 1);
  });

  it('is the same for a repeat, whatever its time, its tries and its way', () => {
    const again = {
      attempt: 2,
      timestamp: 7,
      ttl_ms: 1,
      path: ['hub'],
      target: 'oven',
      type: null,
      session: null,
    };
    expect(keyOf(again)).toBe(keyOf({}));
  });
});
