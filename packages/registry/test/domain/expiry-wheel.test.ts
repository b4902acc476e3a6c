import fc from 'fast-check';
import { ExpiryWheel, type WheelItem } from '../../src/domain/expiry-wheel.js';

const TICK_MS = 100;
const HOUR_MS = 3_600_000;

interface Item extends WheelItem {
  readonly name: number;
  dueMs: number;
}

const item = (name: number, dueMs: number): Item => ({ name, dueMs, bucket: undefined, position: 0 });

/** Names of what fires as time goes on to `nowMs`; what is not due yet is scheduled again. */
function advance(
  wheel: ExpiryWheel<Item>,
  nowMs: number,
  budget = 1_000_000,
): { fired: number[]; done: boolean } {
  const fired: number[] = [];
  const done = wheel.advance(nowMs, budget, (visited) => {
    if (visited.dueMs <= nowMs) fired.push(visited.name);
    else wheel.schedule(visited, visited.dueMs);
    return 1;
  });
  return { fired, done };
}

describe('a timing wheel', () => {
  it('hands out each item at the first advance after it is due, near or far', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 6 * HOUR_MS })), {
          maxLength: 12,
        }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 250 }), fc.integer({ min: 1, max: HOUR_MS })), {
          maxLength: 12,
        }),
        (dues, steps) => {
          const wheel = new ExpiryWheel<Item>(TICK_MS, 0);
          const waiting = new Map(dues.map((dueMs, name) => [name, dueMs]));
          for (const [name, dueMs] of waiting) wheel.schedule(item(name, dueMs), dueMs);
          let nowMs = 0;
          for (const step of [...steps, 40 * HOUR_MS]) {
            nowMs += step;
            const due = [...waiting].filter(([, dueMs]) => dueMs <= nowMs).map(([name]) => name);
            expect(advance(wheel, nowMs).fired.sort((a, b) => a - b)).toEqual(due);
            for (const name of due) waiting.delete(name);
          }
          expect(waiting.size).toBe(0);
        },
      ),
      { numRuns: 6 },
    );
  });

  it('forgets what is taken out, even while it hands out', () => {
    const wheel = new ExpiryWheel<Item>(TICK_MS, 0);
    const items = Array.from({ length: 10 }, (_, name) => item(name, 500));
    for (const each of items) wheel.schedule(each, each.dueMs);
    for (const each of items.slice(0, 3)) wheel.remove(each);
    const first = advance(wheel, 1_000, 2);
    expect(first).toEqual({ fired: [expect.any(Number), expect.any(Number)], done: false });
    const left = items.filter(({ name }) => name >= 3 && !first.fired.includes(name));
    const removed = left.pop();
    if (removed !== undefined) wheel.remove(removed);
    expect(advance(wheel, 1_000)).toEqual({ fired: expect.any(Array) as number[], done: true });
    expect(advance(wheel, 10_000).fired).toEqual([]);
  });

  it('stops at its budget and goes on where it stopped', () => {
    const wheel = new ExpiryWheel<Item>(TICK_MS, 0);
    for (let name = 0; name < 5_000; name += 1) wheel.schedule(item(name, 300), 300);
    const slices = [advance(wheel, 300, 2_000), advance(wheel, 350, 2_000), advance(wheel, 400, 2_000)];
    expect(slices.map(({ fired, done }) => [fired.length, done])).toEqual([
      [2_000, false],
      [2_000, false],
      [1_000, true],
    ]);
  });

  it('hands out in time what is put back between two slices', () => {
    const wheel = new ExpiryWheel<Item>(TICK_MS, 0);
    const items = Array.from({ length: 3 }, (_, name) => item(name, 100));
    for (const each of items) wheel.schedule(each, each.dueMs);
    const first = advance(wheel, 300, 1);
    const back = items.find(({ name }) => first.fired.includes(name));
    if (back !== undefined) wheel.schedule(back, back.dueMs);
    const later = [...advance(wheel, 300).fired, ...advance(wheel, 400).fired];
    expect(later.sort()).toEqual([0, 1, 2]);
  });
});
