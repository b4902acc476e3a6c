/** Where time comes from; tests hand in their own. */
export interface Clock {
  /** Milliseconds that no adjustment of the wall clock moves. */
  monotonicMs(): number;
  /** Epoch milliseconds. */
  wallMs(): number;
}

export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** A step of the wall clock smaller than this is not worth new answers for every `last_heartbeat`. */
const MAX_WALL_DRIFT_MS = 1_000;

/**
 * The time that leases are measured by: monotonic, less the stalls. It is read at every heartbeat and every tick, so
 * a gap of more than two ticks means that this process did not run (stopped, suspended, starved): heartbeats sent
 * meanwhile could not be heard, and nobody is to expire for that.
 */
export class LeaseClock {
  readonly #clock: Clock;
  readonly #tickMs: number;
  #lastReadMs: number;
  #stalledMs: number;
  #wallOffsetMs: number;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#lastReadMs = clock.monotonicMs();
    this.#stalledMs = this.#lastReadMs;
    this.#wallOffsetMs = clock.wallMs();
  }

  /** Milliseconds since the clock was made, less the stalls. */
  nowMs(): number {
    const readMs = this.#clock.monotonicMs();
    const gapMs = readMs - this.#lastReadMs;
    if (gapMs > 2 * this.#tickMs) this.#stalledMs += gapMs - this.#tickMs;
    this.#lastReadMs = readMs;
    return readMs - this.#stalledMs;
  }

  /** Follows the wall clock, so that lease times can be shown; to be called every tick. */
  syncWall(): void {
    const offsetMs = this.#clock.wallMs() - (this.#lastReadMs - this.#stalledMs);
    if (Math.abs(offsetMs - this.#wallOffsetMs) > MAX_WALL_DRIFT_MS) this.#wallOffsetMs = offsetMs;
  }

  /** Epoch milliseconds of a lease time, never after now. */
  toWallMs(leaseMs: number): number {
    return Math.min(leaseMs, this.#lastReadMs - this.#stalledMs) + this.#wallOffsetMs;
  }
}
