import { findStrategy, type StrategyName } from '../../src/balancing/strategy.js';
import type { Membrane } from '../../src/registry-api.js';
import { beginBalancing, countPicks, PICKS, replica, replicas } from '../support/replicas.js';

describe('p2c', () => {
  it('keeps away from a slow instance, and comes back to it when it has been left alone', () => {
    const { balancer, clock } = beginBalancing();
    const oven = replicas(2);
    const [fast, slow] = oven as [Membrane, Membrane];
    const call = (instance: Membrane, tookMs: number): void => {
      const end = balancer.begin(instance);
      clock.advance(tookMs);
      end(false);
    };
    call(slow, 500);
    call(fast, 5);
    expect(countPicks(() => balancer.choose(oven), 100)).toEqual({ r0: 100 });
    // Its one call is long ago; the other one was asked all the time.
    for (let time = 0; time < 100; time += 1) {
      clock.advance(1_000);
      call(fast, 5);
    }
    expect(countPicks(() => balancer.choose(oven), 100)).toEqual({ r1: 100 });
  });

  it('gives one that was left alone a call, and not all of a burst', () => {
    const { balancer, clock } = beginBalancing();
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
    const counts = countPicks(() => {
      const chosen = balancer.choose(oven);
      if (chosen !== undefined) balancer.begin(chosen);
      return chosen;
    }, 1_000);
    expect(Object.values(counts).every((share) => share > 400)).toBe(true);
  });

  it('keeps away from an instance that fails fast, and often, but never five times in a row', () => {
    const { balancer, clock } = beginBalancing();
    const oven = replicas(5);
    let calls = 0;
    const counts = countPicks(() => {
      const chosen = balancer.choose(oven);
      const end = chosen && balancer.begin(chosen);
      if (chosen?.instanceId !== 'r0') clock.advance(20);
      else calls += 1;
      end?.(chosen?.instanceId === 'r0' && calls % 5 !== 0);
      return chosen;
    }, 5_000);
    expect(counts.r0 ?? 0).toBeLessThan(500);
  });

  it('comes back within seconds to one that failed once', () => {
    const { balancer, clock } = beginBalancing();
    const oven = replicas(2);
    const [failed] = oven as [Membrane, Membrane];
    const pick = (): Membrane | undefined => {
      const chosen = balancer.choose(oven);
      const end = chosen && balancer.begin(chosen);
      clock.advance(5);
      end?.(false);
      return chosen;
    };
    countPicks(pick, 100);
    balancer.begin(failed)(true);
    countPicks(pick, 2_000);
    expect(countPicks(pick, 1_000).r0 ?? 0).toBeGreaterThan(300);
  });

  it('does not wait for a call that hangs before it tries the instance again', () => {
    const { balancer, clock } = beginBalancing();
    const oven = replicas(2);
    const [slow, fast] = oven as [Membrane, Membrane];
    for (const [instance, tookMs] of [
      [slow, 500],
      [fast, 5],
    ] as const) {
      const end = balancer.begin(instance);
      clock.advance(tookMs);
      end(false);
    }
    balancer.begin(slow);
    for (let time = 0; time < 100; time += 1) {
      const end = balancer.begin(fast);
      clock.advance(1_000);
      end(false);
    }
    expect(countPicks(() => balancer.choose(oven), 100).r0 ?? 0).toBeGreaterThan(0);
  });

  it('prefers the one with fewer calls under way', () => {
    const { balancer } = beginBalancing();
    const oven = replicas(2);
    balancer.begin(oven[0] as Membrane);
    expect(countPicks(() => balancer.choose(oven), 100)).toEqual({ r1: 100 });
  });
});

describe('who is unwell', () => {
  it('is left out by its status, and what drains gets nothing new', () => {
    const { balancer } = beginBalancing();
    const sick = replica('sick', { status: 'unhealthy' });
    const leaving = replica('leaving', { status: 'draining' });
    const names = (oven: Membrane[]): string[] =>
      Object.keys(countPicks(() => balancer.choose(oven), 100)).sort();
    expect(names([replica('well'), sick, leaving])).toEqual(['well']);
    expect(names([sick, replica('ill', { status: 'unhealthy' }), leaving])).toEqual(['ill', 'sick']);
    expect(names([leaving])).toEqual(['leaving']);
    expect(names([])).toEqual(['nobody']);
  });

  it.each(['p2c', 'round-robin', 'random', 'weighted', 'sticky'] as const)(
    'gets nothing by %s where its weight is 0, as long as others have one',
    (strategy) => {
      const { balancer } = beginBalancing({ strategy });
      const [none, zero, one] = [replica('r0', { weight: 0 }), replica('r1', { weight: 0 }), replica('r2')];
      const oven = [none, zero, one];
      expect(countPicks((index) => balancer.choose(oven, { key: `k${index}` }), 100)).toEqual({ r2: 100 });
      expect(countPicks(() => balancer.choose(oven), 100)).toEqual({ r2: 100 });
      const weightless = [none, zero];
      expect(balancer.choose(weightless)).toBeDefined();
    },
  );

  it('gets nothing where it is silent and drains, as long as another one is only silent', () => {
    const { balancer } = beginBalancing();
    const drain = { reason: null, since: 1 };
    const oven = [
      replica('r0', { status: 'unhealthy', drain }),
      replica('r1', { status: 'unhealthy' }),
      replica('r2', { status: 'draining', drain }),
    ];
    expect(countPicks(() => balancer.choose(oven), 100)).toEqual({ r1: 100 });
  });

  it('is ejected after five failures in a row, and returns slowly', () => {
    const { balancer, clock, failAtOnce } = beginBalancing({ strategy: 'random' });
    const oven = replicas(2);
    const [sick] = oven as [Membrane];
    const share = (): number => (countPicks(() => balancer.choose(oven))['r0'] ?? 0) / PICKS;
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
    const { balancer, clock, failAtOnce } = beginBalancing({ strategy: 'random' });
    const oven = replicas(2);
    const [sick] = oven as [Membrane];
    const isOut = (): boolean => countPicks(() => balancer.choose(oven), 1_000)['r0'] === undefined;
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
    const { balancer, failAtOnce } = beginBalancing({ strategy: 'random' });
    const oven = replicas(2);
    oven.forEach((instance) => failAtOnce(instance));
    expect(Object.keys(countPicks(() => balancer.choose(oven), 100)).sort()).toEqual(['r0', 'r1']);
    const renewed = [replica('r0', { incarnation: 2 }), oven[1] as Membrane];
    expect(countPicks(() => balancer.choose(renewed), 100)).toEqual({ r0: 100 });
  });

  it('does not make a key go to and fro on its return', () => {
    const { balancer, clock, failAtOnce } = beginBalancing();
    const oven = replicas(2);
    failAtOnce(oven[0] as Membrane);
    clock.advance(8_000);
    for (let index = 0; index < 100; index += 1) {
      expect(Object.keys(countPicks(() => balancer.choose(oven, { key: `k${index}` }), 10))).toHaveLength(1);
    }
  });
});

describe('a subset', () => {
  it('is used by each client, the same as long as it is there, and all are used by some', () => {
    const oven = replicas(100);
    const used = new Map<string, number>();
    for (let client = 0; client < 200; client += 1) {
      const { balancer } = beginBalancing({ subsetSize: 5, strategy: 'random' }, `client-${client}`);
      const names = Object.keys(countPicks(() => balancer.choose(oven), 200)).sort();
      expect(names).toHaveLength(5);
      const answeredAgain = [...oven];
      expect(Object.keys(countPicks(() => balancer.choose(answeredAgain), 200)).sort()).toEqual(names);
      for (const name of names) used.set(name, (used.get(name) ?? 0) + 1);
    }
    expect(used.size).toBe(100);
    expect(Math.max(...used.values())).toBeLessThan(30);
  });

  it('does not decide where a key leads: that is the same for all clients', () => {
    const oven = replicas(100);
    const chosen = Array.from({ length: 50 }, (_, client) => {
      const { balancer } = beginBalancing({ subsetSize: 5 }, `client-${client}`);
      return balancer.choose(oven, { key: 'customer-7' })?.instanceId;
    });
    expect(new Set(chosen).size).toBe(1);
  });
});

describe('a strategy of one’s own', () => {
  it('is a function that chooses among the candidates', () => {
    const { balancer } = beginBalancing();
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
    const { balancer } = beginBalancing({ strategy: (() => undefined) as never });
    expect(() => balancer.choose(replicas(2))).toThrow('must return one of its candidates; got undefined');
  });

  it('that is none is refused by the names that there are', () => {
    expect(() => findStrategy('fastest' as StrategyName)).toThrow(
      'strategy must be one of "round-robin", "random", "p2c", "weighted", "sticky", or a function; got "fastest"',
    );
  });
});
