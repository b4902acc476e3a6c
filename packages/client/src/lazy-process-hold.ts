/** How long the process is held at most after the last holder has gone. Shorter ends sooner, and wakes up more often. */
const CHECK_MS = 50;

/**
 * Keeps the process alive while somebody holds it, for holders that come and go thousands of times a second: letting go
 * costs nothing, since the one timer looks now and then whether anybody is left. (Making and clearing one for each
 * message that is alone under way costs a fifth of its round trip.)
 */
export class LazyProcessHold {
  #holders = 0;
  #timer: NodeJS.Timeout | undefined;

  add(): void {
    this.#holders += 1;
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS);
  }

  remove(): void {
    this.#holders -= 1;
  }

  /** Lets go at once, when nobody holds it any more. */
  release(): void {
    this.#check();
  }

  #check(): void {
    if (this.#holders > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
