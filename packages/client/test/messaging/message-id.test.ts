import { randomFillSync } from 'node:crypto';
import { createMessageIds, newMessageId } from '../../src/messaging/message-id.js';

const VERSION_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const fillRandom = (bytes: Buffer): void => void randomFillSync(bytes);

const isRising = (ids: readonly string[]): boolean =>
  ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? ''));

it('makes UUIDs of version 7 that begin with the time', () => {
  const beforeMs = Date.now();
  const id = newMessageId();
  expect(id).toMatch(VERSION_7);
  const timeMs = parseInt(id.replaceAll('-', '').slice(0, 12), 16);
  expect(timeMs).toBeGreaterThanOrEqual(beforeMs);
  expect(timeMs).toBeLessThan(Date.now() + 1_000);
});

it('makes no id twice, and each above the one before', () => {
  const ids = Array.from({ length: 50_000 }, () => newMessageId());
  expect(new Set(ids).size).toBe(ids.length);
  expect(isRising(ids)).toBe(true);
});

it('goes on rising where a millisecond has more than it can count', () => {
  const next = createMessageIds({ nowMs: () => 1_700_000_000_000, fillRandom });
  const ids = Array.from({ length: 10_000 }, next);
  expect(isRising(ids)).toBe(true);
  for (const id of ids) expect(id).toMatch(VERSION_7);
});

it('goes on rising while the clock is set back', () => {
  const times = [2_000, 1_000, 1_001, 2_000, 2_001];
  const next = createMessageIds({ nowMs: () => times.shift() ?? 0, fillRandom });
  expect(isRising(Array.from({ length: 5 }, next))).toBe(true);
});

it('shares nothing with another maker but the time', () => {
  const sources = { nowMs: () => 1_700_000_000_000, fillRandom };
  const [left, right] = [createMessageIds(sources)(), createMessageIds(sources)()];
  expect(left.slice(0, 13)).toBe(right.slice(0, 13));
  expect(left.slice(-12)).not.toBe(right.slice(-12));
});
