import type { Clock, Timer } from '../../src/clock.js';

/** Time that passes when a test says so; timers fire in its course. */
export class FakeClock implements Clock {
  #nowMs = 1_000_000;
  readonly #timers = new Map<object, { atMs: number; callback: () => void }>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const key = {};
    this.#timers.set(key, { atMs: this.#nowMs + delayMs, callback });
    return { cancel: () => this.#timers.delete(key) };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#timers].sort(([, left], [, right]) => left.atMs - right.atMs);
      if (next === undefined || next[1].atMs > endMs) break;
      this.#timers.delete(next[0]);
      this.#nowMs = Math.max(this.#nowMs, next[1].atMs);
      next[1].callback();
    }
    this.#nowMs = endMs;
  }
}
