import { simulateCalls } from '../support/simulated-service.js';

// In simulated time, so that the same happens each time; "npm run bench -- balancing" measures real processes.
const CALLS = 20_000;
const PACE = { calls: CALLS, everyMs: 2, atOnce: 4 };
const ONE_OF_FIVE_SLOW = { slow: 20, r1: 2, r2: 2, r3: 2, r4: 2 };

const at = (sorted: readonly number[], part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0;

describe('one of five instances that is ten times slower', () => {
  it('gets its fifth by round-robin, and makes the slowest fifth of the calls slow', () => {
    const { counts, tookMs } = simulateCalls('round-robin', ONE_OF_FIVE_SLOW, PACE);
    expect(counts['slow']).toBe(CALLS / 5);
    expect([at(tookMs, 0.5), at(tookMs, 0.99)]).toEqual([2, 20]);
  });

  it('gets hardly anything by p2c, but a try now and then, so that few calls are slow', () => {
    const { counts, tookMs } = simulateCalls('p2c', ONE_OF_FIVE_SLOW, PACE);
    expect(tookMs).toHaveLength(CALLS);
    expect(counts['slow']).toBeLessThan(CALLS / 1_000);
    // In the beginning, and again when its latency has faded.
    expect(counts['slow']).toBeGreaterThan(1);
    expect([at(tookMs, 0.5), at(tookMs, 0.99)]).toEqual([2, 2]);
  });

  it('leaves the others even by p2c', () => {
    const { counts } = simulateCalls('p2c', ONE_OF_FIVE_SLOW, PACE);
    for (const name of ['r1', 'r2', 'r3', 'r4']) {
      expect(Math.abs((counts[name] ?? 0) - CALLS / 4)).toBeLessThan(CALLS / 40);
    }
  });

  it('is used by p2c as far as it is needed where all are busy', () => {
    const busy = { slow: 40, r1: 4, r2: 4, r3: 4, r4: 4 };
    // The four others can do 1,000 calls a second, the slow one 25; these are 1,010.
    const pace = { calls: CALLS, everyMs: 0.99, atOnce: 1 };
    const { counts, tookMs } = simulateCalls('p2c', busy, pace);
    expect(counts['slow']).toBeGreaterThan(CALLS / 100);
    expect(counts['slow']).toBeLessThan(CALLS / 20);
    // No line grows: nobody waits for more than a few calls of the slow one.
    expect(tookMs.at(-1)).toBeLessThan(4 * busy.slow);
  });
});
