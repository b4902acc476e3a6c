import { Balancer, type BalancerOptions } from '../../src/balancing/balancer.js';
import { findStrategy, type StrategyName } from '../../src/balancing/strategy.js';
import type { Membrane } from '../../src/registry-api.js';
import { FakeClock } from '../support/fake-clock.js';

const PICKS = 10_000;

function replica(instanceId: string, given: Partial<Membrane> = {}): Membrane {
  return {
    id: 'oven',
    namespace: 'default',
    instanceId,
    incarnation: 1,
    weight: 1,
    status: 'active',
    ...given,
  } as Membrane;
}

const replicas = (count: number): Membrane[] =>
  Array.from({ length: count }, (_, index) => replica(`r${index}`));

/** The same numbers each time: Park and Miller, 1988. */
function seeded(): () => number {
  let state = 42;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function begin(options: Partial<BalancerOptions> = {}, clientKey = 'me') {
  const clock = new FakeClock();
  const balancer = new Balancer({
    options: { strategy: 'p2c', subsetSize: 100, ...options },
    clientKey,
    clock,
    random: seeded(),
  });
  const failAtOnce = (instance: Membrane, times = 5): void => {
    for (let time = 0; time < times; time += 1) balancer.begin(instance)(true);
  };
  return { balancer, clock, failAtOnce };
}

function count(pick: (index: number) => Membrane | undefined, picks = PICKS): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < picks; index += 1) {
    const name = pick(index)?.instanceId ?? 'nobody';
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe('the spread over 10,000 picks', () => {
  it('of round-robin is even to one', () => {
    const { balancer } = begin({ strategy: 'round-robin' });
    const oven = replicas(3);
    const counts = Object.values(count(() => balancer.choose(oven)));
    expect(counts.sort()).toEqual([3_333, 3_333, 3_334]);
  });

  it('of round-robin is even for ids that are picked by turns', () => {
    const { balancer } = begin({ strategy: 'round-robin' });
    const oven = replicas(2);
    const mixer = ['r0', 'r1'].map((instanceId) => replica(instanceId, { id: 'mixer' }));
    const counts = count((index) => balancer.choose(index % 2 === 0 ? oven : mixer));
    expect(counts).toEqual({ r0: 5_000, r1: 5_000 });
  });

  it('of round-robin is even also where each pick has an answer of its own', () => {
    const { balancer } = begin({ strategy: 'round-robin' });
    const counts = count(() => balancer.choose(replicas(2)), 100);
    expect(counts).toEqual({ r0: 50, r1: 50 });
  });

  it.each<StrategyName>(['random', 'p2c'])('of %s is even within a tenth', (strategy) => {
    const { balancer } = begin({ strategy });
    const oven = replicas(5);
    for (const picked of Object.values(count(() => balancer.choose(oven)))) {
      expect(Math.abs(picked - 2_000)).toBeLessThan(200);
    }
  });

  it('of weighted is as the weights are', () => {
    const { balancer } = begin({ strategy: 'weighted' });
    const oven = [replica('small'), replica('large', { weight: 3 }), replica('none', { weight: 0 })];
    const counts = count(() => balancer.choose(oven));
    expect(Math.abs((counts['large'] ?? 0) - 7_500)).toBeLessThan(200);
    expect(counts['none']).toBeUndefined();
  });

  it('of sticky is even over keys, and as the weights are', () => {
    const { balancer } = begin({ strategy: 'sticky' });
    const oven = [replica('a'), replica('b'), replica('large', { weight: 2 })];
    const counts = count((index) => balancer.choose(oven, { key: `customer-${index}` }));
    expect(Math.abs((counts['a'] ?? 0) - 2_500)).toBeLessThan(250);
    expect(Math.abs((counts['large'] ?? 0) - 5_000)).toBeLessThan(250);
  });
});

describe('a key', () => {
  it('stays with its instance; where one goes, only its keys move', () => {
    const { balancer } = begin();
    const oven = replicas(5);
    const keys = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    const before = keys.map((key) => balancer.choose(oven, { key })?.instanceId);
    expect(keys.map((key) => balancer.choose(oven, { key })?.instanceId)).toEqual(before);
    const left = oven.filter(({ instanceId }) => instanceId !== 'r2');
    const after = keys.map((key) => balancer.choose(left, { key })?.instanceId);
    const moved = keys.filter((_, index) => before[index] !== after[index]);
    expect(moved.length).toBe(before.filter((name) => name === 'r2').length);
    expect(moved.length).toBeGreaterThan(100);
  });
});

describe('p2c', () => {
  it('keeps away from a slow instance, and comes back to it when it has been left alone', () => {
    const { balancer, clock } = begin();
    const oven = replicas(2);
    const [fast, slow] = oven as [Membrane, Membrane];
    const call = (instance: Membrane, tookMs: number): void => {
      const end = balancer.begin(instance);
      clock.advance(tookMs);
      end(false);
    };
    call(slow, 500);
    call(fast, 5);
    expect(count(() => balancer.choose(oven), 100)).toEqual({ r0: 100 });
    // Its one call is long ago; the other one was asked all the time.
    for (let time = 0; time < 100; time += 1) {
      clock.advance(1_000);
      call(fast, 5);
    }
    expect(count(() => balancer.choose(oven), 100)).toEqual({ r1: 100 });
  });

  it('gives one that was left alone a call, and not all of a burst', () => {
    const { balancer, clock } = begin();
    const [left, right] = replicas(2) as [Membrane, Membrane];
    const call = (instance: Membrane): void => {
      const end = balancer.begin(instance);
      clock.advance(10);
      end(false);
    };
    call(left);
    clock.advance(100_000);
    call(right);
    const oven = [left, right];
    const counts = count(() => {
      const chosen = balancer.choose(oven);
      if (chosen !== undefined) balancer.begin(chosen);
      return chosen;
    }, 1_000);
    expect(Object.values(counts).every((share) => share > 400)).toBe(true);
  });

  it('keeps away from an instance that fails fast, and often, but never five times in a row', () => {
    const { balancer, clock } = begin();
    const oven = replicas(5);
    let calls = 0;
    const counts = count(() => {
      const chosen = balancer.choose(oven);
      const end = chosen && balancer.begin(chosen);
      if (chosen?.instanceId !== 'r0') clock.advance(20);
      else calls += 1;
      end?.(chosen?.instanceId === 'r0' && calls % 5 !== 0);
      return chosen;
    }, 5_000);
    expect(counts.r0 ?? 0).toBeLessThan(500);
  });

  it('prefers the one with fewer calls under way', () => {
    const { balancer } = begin();
    const oven = replicas(2);
    balancer.begin(oven[0] as Membrane);
    expect(count(() => balancer.choose(oven), 100)).toEqual({ r1: 100 });
  });
});

describe('who is unwell', () => {
  it('is left out by its status, and what drains gets nothing new', () => {
    const { balancer } = begin();
    const sick = replica('sick', { status: 'unhealthy' });
    const leaving = replica('leaving', { status: 'draining' });
    const names = (oven: Membrane[]): string[] => Object.keys(count(() => balancer.choose(oven), 100)).sort();
    expect(names([replica('well'), sick, leaving])).toEqual(['well']);
    expect(names([sick, replica('ill', { status: 'unhealthy' }), leaving])).toEqual(['ill', 'sick']);
    expect(names([leaving])).toEqual(['leaving']);
    expect(names([])).toEqual(['nobody']);
  });

  it.each(['p2c', 'round-robin', 'random', 'weighted', 'sticky'] as const)(
    'gets nothing by %s where its weight is 0, as long as others have one',
    (strategy) => {
      const { balancer } = begin({ strategy });
      const [none, zero, one] = [replica('r0', { weight: 0 }), replica('r1', { weight: 0 }), replica('r2')];
      const oven = [none, zero, one];
      expect(count((index) => balancer.choose(oven, { key: `k${index}` }), 100)).toEqual({ r2: 100 });
      expect(count(() => balancer.choose(oven), 100)).toEqual({ r2: 100 });
      const weightless = [none, zero];
      expect(balancer.choose(weightless)).toBeDefined();
    },
  );

  it('gets nothing where it is silent and drains, as long as another one is only silent', () => {
    const { balancer } = begin();
    const drain = { reason: null, since: 1 };
    const oven = [
      replica('r0', { status: 'unhealthy', drain }),
      replica('r1', { status: 'unhealthy' }),
      replica('r2', { status: 'draining', drain }),
    ];
    expect(count(() => balancer.choose(oven), 100)).toEqual({ r1: 100 });
  });

  it('is ejected after five failures in a row, and returns slowly', () => {
    const { balancer, clock, failAtOnce } = begin({ strategy: 'random' });
    const oven = replicas(2);
    const [sick] = oven as [Membrane];
    const share = (): number => (count(() => balancer.choose(oven))['r0'] ?? 0) / PICKS;
    failAtOnce(sick, 4);
    balancer.begin(sick)(false);
    failAtOnce(sick, 4);
    expect(share()).toBeGreaterThan(0.45);
    failAtOnce(sick, 1);
    expect(share()).toBe(0);
    clock.advance(5_001);
    expect(share()).toBeGreaterThan(0.03);
    expect(share()).toBeLessThan(0.07);
    clock.advance(5_000);
    expect(share()).toBeGreaterThan(0.2);
    expect(share()).toBeLessThan(0.35);
    clock.advance(5_000);
    expect(share()).toBeGreaterThan(0.45);
  });

  it('is ejected for longer where it fails on its return, and trusted again where it does well', () => {
    const { balancer, clock, failAtOnce } = begin({ strategy: 'random' });
    const oven = replicas(2);
    const [sick] = oven as [Membrane];
    const isOut = (): boolean => count(() => balancer.choose(oven), 1_000)['r0'] === undefined;
    failAtOnce(sick);
    clock.advance(5_001);
    failAtOnce(sick, 1);
    clock.advance(9_900);
    expect(isOut()).toBe(true);
    clock.advance(200);
    expect(isOut()).toBe(false);
    clock.advance(10_000);
    balancer.begin(sick)(false);
    failAtOnce(sick, 4);
    expect(isOut()).toBe(false);
    failAtOnce(sick, 1);
    clock.advance(5_001);
    expect(isOut()).toBe(false);
  });

  it('is used where all are, and a new registration begins anew', () => {
    const { balancer, failAtOnce } = begin({ strategy: 'random' });
    const oven = replicas(2);
    oven.forEach((instance) => failAtOnce(instance));
    expect(Object.keys(count(() => balancer.choose(oven), 100)).sort()).toEqual(['r0', 'r1']);
    const renewed = [replica('r0', { incarnation: 2 }), oven[1] as Membrane];
    expect(count(() => balancer.choose(renewed), 100)).toEqual({ r0: 100 });
  });

  it('does not make a key go to and fro on its return', () => {
    const { balancer, clock, failAtOnce } = begin();
    const oven = replicas(2);
    failAtOnce(oven[0] as Membrane);
    clock.advance(8_000);
    for (let index = 0; index < 100; index += 1) {
      expect(Object.keys(count(() => balancer.choose(oven, { key: `k${index}` }), 10))).toHaveLength(1);
    }
  });
});

describe('a subset', () => {
  it('is used by each client, the same as long as it is there, and all are used by some', () => {
    const oven = replicas(100);
    const used = new Map<string, number>();
    for (let client = 0; client < 200; client += 1) {
      const { balancer } = begin({ subsetSize: 5, strategy: 'random' }, `client-${client}`);
      const names = Object.keys(count(() => balancer.choose(oven), 200)).sort();
      expect(names).toHaveLength(5);
      const answeredAgain = [...oven];
      expect(Object.keys(count(() => balancer.choose(answeredAgain), 200)).sort()).toEqual(names);
      for (const name of names) used.set(name, (used.get(name) ?? 0) + 1);
    }
    expect(used.size).toBe(100);
    expect(Math.max(...used.values())).toBeLessThan(30);
  });

  it('does not decide where a key leads: that is the same for all clients', () => {
    const oven = replicas(100);
    const chosen = Array.from({ length: 50 }, (_, client) => {
      const { balancer } = begin({ subsetSize: 5 }, `client-${client}`);
      return balancer.choose(oven, { key: 'customer-7' })?.instanceId;
    });
    expect(new Set(chosen).size).toBe(1);
  });
});

describe('a strategy of one’s own', () => {
  it('is a function that chooses among the candidates', () => {
    const { balancer } = begin();
    const oven = replicas(3);
    balancer.begin(oven[0] as Membrane);
    const seen: number[][] = [];
    const last = balancer.choose(oven, {
      strategy: (candidates) => {
        seen.push(candidates.map(({ pending }) => pending));
        return candidates[candidates.length - 1] as (typeof candidates)[number];
      },
    });
    expect(last?.instanceId).toBe('r2');
    expect(seen).toEqual([[1, 0, 0]]);
  });

  it('that chooses none of them is refused', () => {
    const { balancer } = begin({ strategy: (() => undefined) as never });
    expect(() => balancer.choose(replicas(2))).toThrow('must return one of its candidates; got undefined');
  });

  it('that is none is refused by the names that there are', () => {
    expect(() => findStrategy('fastest' as StrategyName)).toThrow(
      'strategy must be one of "round-robin", "random", "p2c", "weighted", "sticky", or a function; got "fastest"',
    );
  });
});
