import type { Clock, Timer } from './clock.js';

/** Work on items, each after a delay of its own, no more than so many at once. Work must not reject. */
export class DelayedQueue<Item> {
  readonly #work: (item: Item) => Promise<void>;
  readonly #maxAtOnce: number;
  readonly #clock: Clock;
  readonly #delayed = new Map<Item, Timer>();
  readonly #due = new Set<Item>();
  #running = 0;

  constructor(
    work: (item: Item) => Promise<void>,
    { maxAtOnce, clock }: { maxAtOnce: number; clock: Clock },
  ) {
    this.#work = work;
    this.#maxAtOnce = maxAtOnce;
    this.#clock = clock;
  }

  /** Adds, or sets another time. */
  add(item: Item, delayMs: number): void {
    this.remove(item);
    const timer = this.#clock.setTimer(() => {
      this.#delayed.delete(item);
      this.#due.add(item);
      this.#runDue();
    }, delayMs);
    this.#delayed.set(item, timer);
  }

  /** Forgets an item that waits; one that is being worked on goes on. */
  remove(item: Item): void {
    this.#delayed.get(item)?.cancel();
    this.#delayed.delete(item);
    this.#due.delete(item);
  }

  #runDue(): void {
    for (const item of this.#due) {
      if (this.#running >= this.#maxAtOnce) return;
      this.#due.delete(item);
      this.#running += 1;
      void this.#work(item).finally(() => {
        this.#running -= 1;
        this.#runDue();
      });
    }
  }
}
