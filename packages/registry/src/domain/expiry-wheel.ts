/** What a wheel holds: an item knows its bucket, so that taking it out costs the same at any size. */
export interface WheelItem {
  bucket: WheelItem[] | undefined;
  position: number;
}

const SLOTS = 64;
const LEVELS = 4;
const HORIZON = SLOTS ** LEVELS;

/**
 * Hierarchical timing wheel (Varghese and Lauck, 1987): level n has 64 buckets of 64^n ticks each. A bucket that
 * fires hands its items to the caller, who knows when they are really due and schedules again those that are not.
 * So an item may be due later than its bucket says, and nothing need be moved when that happens.
 */
export class ExpiryWheel<Item extends WheelItem> {
  readonly #tickMs: number;
  readonly #levels: Item[][][] = Array.from({ length: LEVELS }, () =>
    Array.from({ length: SLOTS }, () => []),
  );
  /** The tick whose bucket was drained last. Its bucket can hold items again: they are due within this tick. */
  #cursor: number;
  /** Buckets that fired and are not empty yet. */
  #draining: Item[][] = [];

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#cursor = Math.floor(nowMs / tickMs);
  }

  schedule(item: Item, dueMs: number): void {
    this.remove(item);
    const tick = Math.max(Math.floor(dueMs / this.#tickMs), this.#cursor);
    const distance = Math.min(tick - this.#cursor, HORIZON - 1);
    let level = 0;
    let slotTicks = 1;
    while (distance >= slotTicks * SLOTS) {
      level += 1;
      slotTicks *= SLOTS;
    }
    const slot = Math.floor((this.#cursor + distance) / slotTicks) % SLOTS;
    const bucket = this.#levels[level]?.[slot];
    if (bucket === undefined) throw new RangeError(`no bucket for ${dueMs} ms`);
    item.bucket = bucket;
    item.position = bucket.length;
    bucket.push(item);
  }

  remove(item: Item): void {
    const bucket = item.bucket as Item[] | undefined;
    if (bucket === undefined) return;
    const last = bucket.pop();
    if (last !== undefined && last !== item) {
      bucket[item.position] = last;
      last.position = item.position;
    }
    item.bucket = undefined;
  }

  /**
   * Hands out the items of every bucket up to `nowMs`, each taken out of the wheel first, until the budget is used up:
   * `visit` returns what the item has cost. False where the budget ended it: call again to go on.
   */
  advance(nowMs: number, budget: number, visit: (item: Item) => number): boolean {
    const target = Math.floor(nowMs / this.#tickMs);
    if (this.#draining.length === 0) this.#drain(0);
    for (let left = budget; ;) {
      let bucket = this.#draining.at(-1);
      while (bucket?.length === 0) {
        this.#draining.pop();
        if (this.#draining.length === 0 && this.#cursor < target) this.#goOn();
        bucket = this.#draining.at(-1);
      }
      const item = bucket?.at(-1);
      if (item === undefined) return true;
      if (left <= 0) return false;
      this.remove(item);
      left -= visit(item);
    }
  }

  /** Items put back between two slices may be due in the tick that was drained: they go first. */
  #goOn(): void {
    const [ticks] = this.#levels;
    if ((ticks?.[this.#cursor % SLOTS]?.length ?? 0) > 0) this.#drain(0);
    else this.#step();
  }

  /** Moves on to the next tick and drains what begins with it, on every level. */
  #step(): void {
    this.#cursor += 1;
    let slotTicks = 1;
    for (let level = 0; level < LEVELS; level += 1) {
      if (this.#cursor % slotTicks !== 0) break;
      this.#drain(level);
      slotTicks *= SLOTS;
    }
  }

  #drain(level: number): void {
    const buckets = this.#levels[level];
    const slot = Math.floor(this.#cursor / SLOTS ** level) % SLOTS;
    const bucket = buckets?.[slot];
    if (buckets === undefined || bucket === undefined) return;
    this.#draining.push(bucket);
    buckets[slot] = [];
  }
}
