import fc from 'fast-check';
import { backoffMs, MAX_BACKOFF_MS } from '../src/backoff.js';
import { RenewalSchedule } from '../src/renewal-schedule.js';

const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const intervals = fc.integer({ min: 250, max: 86_400_000 });

describe('the wait before another try', () => {
  it('is at most 500 ms at first, doubles, and ends at 5 s or one interval', () => {
    const longest = (failures: number, intervalMs: number): number =>
      backoffMs({ failures, intervalMs, retryAfterMs: undefined }, () => 1);
    expect([1, 2, 3, 4, 5, 60].map((failures) => longest(failures, 30_000))).toEqual([
      500, 1_000, 2_000, 4_000, 5_000, 5_000,
    ]);
    expect([1, 2, 60].map((failures) => longest(failures, 800))).toEqual([500, 800, 800]);
  });

  it('is anywhere below its bound, and heeds what the registry asks for within it', () => {
    const failures = fc.integer({ min: 1, max: 1_000 });
    const asked = fc.option(fc.integer({ min: 0, max: 10_000_000 }), { nil: undefined });
    fc.assert(
      fc.property(failures, intervals, asked, randoms, (failed, intervalMs, retryAfterMs, random) => {
        const waitMs = backoffMs({ failures: failed, intervalMs, retryAfterMs }, () => random);
        const bound = Math.min(MAX_BACKOFF_MS, intervalMs);
        expect(waitMs).toBeGreaterThanOrEqual(Math.min(retryAfterMs ?? 0, bound) / 2);
        expect(waitMs).toBeLessThanOrEqual(bound);
      }),
    );
    const spread = [0, 0.25, 0.5, 0.75].map((random) =>
      backoffMs({ failures: 9, intervalMs: 60_000, retryAfterMs: undefined }, () => random),
    );
    expect(spread).toEqual([0, 1_250, 2_500, 3_750]);
  });
});

describe('renewals', () => {
  it('are never later than their interval, and all of one interval come together', () => {
    const members = fc.array(fc.record({ at: fc.integer({ min: 0, max: 5_000 }), intervalMs: intervals }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(members, randoms, (given, random) => {
        const schedule = new RenewalSchedule<number>(() => random);
        const renewedAtMs = new Map<number, number>();
        const sorted = given.toSorted((left, right) => left.at - right.at);
        for (const [index, { at, intervalMs }] of sorted.entries()) {
          schedule.add(index, intervalMs, at);
          renewedAtMs.set(index, at);
        }
        for (let round = 0; round < 30; round += 1) {
          const nowMs = schedule.nextDueMs();
          const { items, intervalsMs } = schedule.takeDue(nowMs);
          expect(items.length).toBeGreaterThan(0);
          for (const [index, { intervalMs }] of sorted.entries()) {
            expect(items.includes(index)).toBe(intervalsMs.includes(intervalMs));
            if (!items.includes(index)) continue;
            expect(nowMs - (renewedAtMs.get(index) ?? 0)).toBeLessThanOrEqual(intervalMs + 5_000);
            renewedAtMs.set(index, nowMs);
          }
        }
      }),
    );
  });

  it('that failed come again when they are told to, or when they are due anyway', () => {
    const schedule = new RenewalSchedule<string>(() => 0.5);
    schedule.add('oven', 1_000, 0);
    expect(schedule.nextDueMs()).toBe(500);
    expect(schedule.takeDue(500)).toEqual({ intervalsMs: [1_000], items: ['oven'] });
    expect(schedule.nextDueMs()).toBe(1_450);
    schedule.retry([1_000], 700);
    expect(schedule.nextDueMs()).toBe(700);
    schedule.retry([1_000], 9_000);
    expect(schedule.nextDueMs()).toBe(700);
    schedule.remove('oven', 1_000);
    expect(schedule.nextDueMs()).toBe(Number.POSITIVE_INFINITY);
  });
});
