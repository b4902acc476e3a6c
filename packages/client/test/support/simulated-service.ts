import type { StrategyName } from '../../src/balancing/strategy.js';
import type { FakeClock } from './fake-clock.js';
import { beginBalancing, replica } from './replicas.js';

/** Works on a few calls at once, for so long on each; the others wait in line. */
class SimulatedServer {
  readonly #clock: FakeClock;
  readonly #workMs: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(clock: FakeClock, { workMs, atOnce }: { workMs: number; atOnce: number }) {
    this.#clock = clock;
    this.#workMs = workMs;
    this.#free = atOnce;
  }

  call(onDone: () => void): void {
    this.#waiting.push(onDone);
    this.#work();
  }

  #work(): void {
    if (this.#free === 0) return;
    const onDone = this.#waiting.shift();
    if (onDone === undefined) return;
    this.#free -= 1;
    this.#clock.setTimer(() => {
      this.#free += 1;
      onDone();
      this.#work();
    }, this.#workMs);
  }
}

/** Calls at an even pace to instances that work in simulated time, chosen by a strategy. */
export function simulateCalls(
  strategy: StrategyName,
  workMs: Readonly<Record<string, number>>,
  { calls, everyMs, atOnce }: { calls: number; everyMs: number; atOnce: number },
) {
  const { balancer, clock } = beginBalancing({ strategy });
  const oven = Object.keys(workMs).map((instanceId) => replica(instanceId));
  const servers = new Map(
    Object.entries(workMs).map(([name, ms]) => [name, new SimulatedServer(clock, { workMs: ms, atOnce })]),
  );
  const counts: Record<string, number> = {};
  const tookMs: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    const instance = balancer.choose(oven);
    if (instance === undefined) throw new Error('nobody was chosen');
    const { instanceId } = instance;
    counts[instanceId] = (counts[instanceId] ?? 0) + 1;
    const end = balancer.begin(instance);
    const startMs = clock.monotonicMs();
    servers.get(instanceId)?.call(() => {
      end(false);
      tookMs.push(clock.monotonicMs() - startMs);
    });
    clock.advance(everyMs);
  }
  while (clock.pending > 0) clock.advance(1_000);
  tookMs.sort((one, other) => one - other);
  return { counts, tookMs };
}
