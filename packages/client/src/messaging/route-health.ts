import type { Clock } from '../clock.js';

const FIRST_REST_MS = 1_000;
const MAX_REST_MS = 30_000;
const MAX_ROUTES = 10_000;

interface Rest {
  untilMs: number;
  lengthMs: number;
}

/** Routes that failed rest for a while, longer each time, so that not every message waits for them to fail again. */
export class RouteHealth {
  readonly #rests = new Map<string, Rest>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isAnyResting(): boolean {
    return this.#rests.size > 0;
  }

  isResting(key: string): boolean {
    const rest = this.#rests.get(key);
    return rest !== undefined && this.#clock.monotonicMs() < rest.untilMs;
  }

  failed(key: string): void {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#rests.get(key);
    if (before !== undefined && nowMs < before.untilMs) return;
    const isOld = before === undefined || nowMs - before.untilMs > MAX_REST_MS;
    const lengthMs = isOld ? FIRST_REST_MS : Math.min(MAX_REST_MS, 2 * before.lengthMs);
    this.#rests.delete(key);
    this.#rests.set(key, { untilMs: nowMs + lengthMs, lengthMs });
    const [oldest] = this.#rests.keys();
    if (this.#rests.size > MAX_ROUTES && oldest !== undefined) this.#rests.delete(oldest);
  }

  worked(key: string): void {
    if (this.#rests.size > 0) this.#rests.delete(key);
  }
}
