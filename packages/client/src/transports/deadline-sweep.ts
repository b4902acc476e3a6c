import { MAX_TIMER_MS, type Clock, type Timer } from '../clock.js';

/** Two sweeps are at least so far apart, so that many deadlines cost few of them. */
const MIN_GAP_MS = 10;

/** One timer for any number of deadlines. */
export class DeadlineSweep {
  readonly #clock: Clock;
  readonly #sweep: (nowMs: number) => number;
  #atMs = Infinity;
  #timer: Timer | undefined;

  /** `sweep` ends what is over, and returns when the next one is: Infinity where there is none. */
  constructor(clock: Clock, sweep: (nowMs: number) => number) {
    this.#clock = clock;
    this.#sweep = sweep;
  }

  /** Something is to be ended at that time. */
  watch(atMs: number): void {
    if (atMs >= this.#atMs) return;
    const delayMs = Math.min(Math.max(atMs - this.#clock.monotonicMs(), 0), MAX_TIMER_MS);
    this.#set(atMs, delayMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#atMs = Infinity;
  }

  #set(atMs: number, delayMs: number): void {
    this.#timer?.cancel();
    this.#atMs = atMs;
    // Timers of Node fire up to a millisecond early.
    this.#timer = this.#clock.setTimer(() => this.#run(), Math.ceil(delayMs) + 1);
  }

  #run(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#atMs = Infinity;
    const nextMs = this.#sweep(nowMs);
    if (nextMs < this.#atMs) {
      this.#set(nextMs, Math.min(Math.max(nextMs - nowMs, MIN_GAP_MS), MAX_TIMER_MS));
    }
  }
}
