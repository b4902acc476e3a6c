import { envelopeSchema, LIMITS, type JsonValue } from '@membrane/protocol';
import { readEnvelope } from '../../src/messaging/read-envelope.js';

const FULL = {
  id: '0190b4a1-7a3b-7c11-8a5b-0123456789ab',
  sender: 'baker',
  target: 'oven',
  instance_id: 'default',
  namespace: 'default',
  timestamp: 1_732_723_200.123,
  payload: { loaves: [1, 2, { rye: true }] },
  type: 'bake',
  session: 'session 1',
  stream: 'orders',
  sequence: 7,
  floor: 3,
  ttl_ms: 1_500.5,
  reply_to: 'baker',
  reply_to_instance: 'default',
  correlation_id: 'm-1',
  incarnation: 12,
  attempt: 2,
  path: ['skin', 'shop'],
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
};

function nest(levels: number): JsonValue {
  return levels === 0 ? 1 : levels % 2 === 0 ? [nest(levels - 1)] : { inner: nest(levels - 1) };
}

it('takes an envelope with everything, and one with only what is required', () => {
  expect(readEnvelope(FULL)).toEqual(FULL);
  expect(readEnvelope({ sender: 'baker', payload: null })).toEqual({ sender: 'baker', payload: null });
});

it('takes null for whatever may be absent', () => {
  const empty = Object.fromEntries(Object.keys(FULL).map((key) => [key, null]));
  expect(readEnvelope({ ...empty, sender: 'baker' })).toMatchObject({ sender: 'baker', stream: null });
});

it.each([
  ['id', '', 'with space', 'x'.repeat(129), 7, '-x', 'a"b'],
  ['sender', undefined, null, '', '.hidden', 'x'.repeat(129), 'ä'],
  ['target', '', 'a b', 5, '@out'],
  ['instance_id', 'x'.repeat(64), ''],
  ['namespace', 'x'.repeat(64), 'a/b', {}],
  ['timestamp', 'now', Number.NaN, Infinity],
  ['payload', undefined, nest(LIMITS.maxJsonDepth + 1)],
  ['type', '', 'x'.repeat(129), 'new\nline', 1],
  ['session', '', 'a\u0000b', []],
  ['stream', '', 'x'.repeat(129)],
  ['sequence', 0, -1, 1.5, 2 ** 53, '1'],
  ['floor', 0, 'x'],
  ['ttl_ms', -1, LIMITS.maxMessageTtlMs + 1, 'soon', Number.NaN],
  ['reply_to', '', 'a b'],
  ['reply_to_instance', 'x'.repeat(64), ''],
  ['correlation_id', 'a b', 1],
  ['incarnation', -1, 0.5],
  ['attempt', 0, '2'],
  ['path', 'skin', Array<string>(LIMITS.maxHops + 1).fill('skin'), ['a b'], [1]],
  ['traceparent', 'x'.repeat(257), 1],
])('says that %s is wrong', (field, ...values) => {
  for (const value of values) {
    const error = catchError(() => readEnvelope({ ...FULL, [field]: value }));
    expect(error).toMatchObject({ code: 'invalid_request' });
    expect(error.message).toContain(field);
  }
});

it.each([[undefined], [null], ['text'], [7], [[FULL]]])('says that %j is no envelope', (value) => {
  expect(() => readEnvelope(value)).toThrow(expect.objectContaining({ code: 'invalid_request' }) as Error);
});

it('takes the deepest payload that is allowed', () => {
  const payload = nest(LIMITS.maxJsonDepth);
  expect(readEnvelope({ ...FULL, payload }).payload).toEqual(payload);
});

it('drops what it does not know, however deep that nests', () => {
  const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
  const given = { ...FULL, x_trace: 'abc', deep };
  expect(readEnvelope(given)).toEqual(FULL);
  expect(readEnvelope({ deep, sender: 'baker', payload: 1 })).toEqual({ sender: 'baker', payload: 1 });
  // Whoever gave it keeps what it gave.
  expect(given).toHaveProperty('deep');
});

it('is asked about no field less than the schema', () => {
  expect(Object.keys(FULL).sort()).toEqual(Object.keys(envelopeSchema.shape).sort());
});

function catchError(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
