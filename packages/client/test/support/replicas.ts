import { Balancer, type BalancerOptions } from '../../src/balancing/balancer.js';
import type { Membrane } from '../../src/registry-api.js';
import { FakeClock } from './fake-clock.js';

export const PICKS = 10_000;

export function replica(instanceId: string, given: Partial<Membrane> = {}): Membrane {
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

export const replicas = (count: number): Membrane[] =>
  Array.from({ length: count }, (_, index) => replica(`r${index}`));

/** The same numbers each time: Park and Miller, 1988. */
function seeded(): () => number {
  let state = 42;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** A balancer on a clock that the test moves. */
export function beginBalancing(options: Partial<BalancerOptions> = {}, clientKey = 'me') {
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

/** How often each instance was chosen. */
export function countPicks(
  pick: (index: number) => Membrane | undefined,
  picks = PICKS,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < picks; index += 1) {
    const name = pick(index)?.instanceId ?? 'nobody';
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
