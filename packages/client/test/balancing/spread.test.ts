import type { StrategyName } from '../../src/balancing/strategy.js';
import { beginBalancing, countPicks, PICKS, replica, replicas } from '../support/replicas.js';

const KEYS = Array.from({ length: PICKS }, (_, index) => `customer-${index}`);

describe('the spread over 10,000 picks', () => {
  it('of round-robin is exact', () => {
    const { balancer } = beginBalancing({ strategy: 'round-robin' });
    const oven = replicas(5);
    const counts = countPicks(() => balancer.choose(oven));
    expect(counts).toEqual({ r0: 2_000, r1: 2_000, r2: 2_000, r3: 2_000, r4: 2_000 });
  });

  it('of round-robin is even to one where it does not come out even', () => {
    const { balancer } = beginBalancing({ strategy: 'round-robin' });
    const oven = replicas(3);
    const counts = Object.values(countPicks(() => balancer.choose(oven)));
    expect(counts.sort()).toEqual([3_333, 3_333, 3_334]);
  });

  it('of round-robin is even for ids that are picked by turns', () => {
    const { balancer } = beginBalancing({ strategy: 'round-robin' });
    const oven = replicas(2);
    const mixer = ['r0', 'r1'].map((instanceId) => replica(instanceId, { id: 'mixer' }));
    const counts = countPicks((index) => balancer.choose(index % 2 === 0 ? oven : mixer));
    expect(counts).toEqual({ r0: 5_000, r1: 5_000 });
  });

  it('of round-robin is even also where each pick has an answer of its own', () => {
    const { balancer } = beginBalancing({ strategy: 'round-robin' });
    const counts = countPicks(() => balancer.choose(replicas(2)), 100);
    expect(counts).toEqual({ r0: 50, r1: 50 });
  });

  it.each<StrategyName>(['random', 'p2c', 'sticky'])('of %s without a key is even within a tenth', (name) => {
    const { balancer } = beginBalancing({ strategy: name });
    const oven = replicas(5);
    expectShares(
      countPicks(() => balancer.choose(oven)),
      { r0: 1, r1: 1, r2: 1, r3: 1, r4: 1 },
    );
  });

  it('of weighted is as the weights are', () => {
    const { balancer } = beginBalancing({ strategy: 'weighted' });
    const weights = { none: 0, small: 1, middle: 2, large: 3, huge: 4 };
    const oven = Object.entries(weights).map(([name, weight]) => replica(name, { weight }));
    expectShares(
      countPicks(() => balancer.choose(oven)),
      weights,
    );
  });

  it('of sticky is even over keys', () => {
    const { balancer } = beginBalancing({ strategy: 'sticky' });
    const oven = replicas(5);
    expectShares(
      countPicks((index) => balancer.choose(oven, { key: KEYS[index] })),
      { r0: 1, r1: 1, r2: 1, r3: 1, r4: 1 },
    );
  });

  it('of sticky is as the weights are', () => {
    const { balancer } = beginBalancing({ strategy: 'sticky' });
    const weights = { a: 1, b: 1, large: 2 };
    const oven = Object.entries(weights).map(([name, weight]) => replica(name, { weight }));
    expectShares(
      countPicks((index) => balancer.choose(oven, { key: KEYS[index] })),
      weights,
    );
  });
});

describe('a key', () => {
  const choose = (size: number, without?: string): (string | undefined)[] => {
    const { balancer } = beginBalancing();
    const oven = replicas(size).filter(({ instanceId }) => instanceId !== without);
    return KEYS.map((key) => balancer.choose(oven, { key })?.instanceId);
  };

  it('stays with its instance, for every client', () => {
    expect(choose(5)).toEqual(choose(5));
  });

  it('moves only where its instance goes, and those that move are spread over the others', () => {
    const before = choose(5);
    const after = choose(5, 'r2');
    const moved = KEYS.map((_, index) => index).filter((index) => before[index] !== after[index]);
    expect(moved).toEqual(KEYS.map((_, index) => index).filter((index) => before[index] === 'r2'));
    const heirs = ['r0', 'r1', 'r3', 'r4'].map(
      (name) => moved.filter((index) => after[index] === name).length,
    );
    expect(Math.min(...heirs)).toBeGreaterThan(moved.length / 5);
  });

  it('moves only to an instance that comes', () => {
    const before = choose(5);
    const after = choose(6);
    const moved = KEYS.filter((_, index) => before[index] !== after[index]);
    expect(moved).toEqual(KEYS.filter((_, index) => after[index] === 'r5'));
    expect(Math.abs(moved.length - PICKS / 6)).toBeLessThan(PICKS / 60);
  });
});

/** Each has its share within a tenth, and nobody else any. */
function expectShares(counts: Record<string, number>, weights: Record<string, number>): void {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  for (const [name, weight] of Object.entries(weights)) {
    const share = (PICKS * weight) / total;
    expect([name, Math.abs((counts[name] ?? 0) - share) <= share / 10]).toEqual([name, true]);
  }
  expect(Object.values(counts).reduce((sum, picked) => sum + picked, 0)).toBe(PICKS);
}
