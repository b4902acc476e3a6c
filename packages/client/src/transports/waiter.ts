import { MAX_TIMER_MS, type Clock } from '../clock.js';

/** Lets one loop wait until something is so. It looks again whenever it is woken. */
export class Waiter {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#wake?.();
  }

  /** Returns when it is so, the time is over, or the signal is aborted and somebody wakes it. */
  async until(
    isSo: () => boolean,
    { signal, maxMs = Number.POSITIVE_INFINITY }: { signal: AbortSignal; maxMs?: number },
  ): Promise<void> {
    const endMs = this.#clock.monotonicMs() + maxMs;
    for (;;) {
      const leftMs = endMs - this.#clock.monotonicMs();
      if (signal.aborted || isSo() || leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = this.#clock.setTimer(resolve, Math.min(leftMs, MAX_TIMER_MS));
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }
}
