import { MAX_TIMER_MS } from './clock.js';

/** One handle for all that keeps the process alive, whatever its number: no timer or socket of the client does. */
export class ProcessHold {
  #holders = 0;
  #handle: NodeJS.Timeout | undefined;

  add(): void {
    this.#holders += 1;
    this.#handle ??= setInterval(() => undefined, MAX_TIMER_MS);
  }

  remove(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    clearInterval(this.#handle);
    this.#handle = undefined;
  }
}
