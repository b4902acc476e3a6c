import type { Clock } from '../../src/clock.js';

/** Time that passes when a test says so. */
export class FakeClock implements Clock {
  #monotonicMs = 1_000_000;
  #wallMs = 1_700_000_000_000;

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  advance(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }

  /** Somebody sets the wall clock. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }
}
