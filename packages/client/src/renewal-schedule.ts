/** A renewal comes up to this part of the interval early, so that processes which started together drift apart. */
const JITTER = 0.1;

interface Period<Item> {
  readonly items: Set<Item>;
  dueAtMs: number;
}

export interface DueRenewals<Item> {
  readonly intervalsMs: readonly number[];
  readonly items: readonly Item[];
}

/**
 * When which leases are renewed. All of one interval are due together, whenever they began: that is one batch a
 * period, whatever their number, and no renewal is later than its interval.
 */
export class RenewalSchedule<Item> {
  readonly #periods = new Map<number, Period<Item>>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  add(item: Item, intervalMs: number, nowMs: number): void {
    const period = this.#periods.get(intervalMs);
    if (period !== undefined) period.items.add(item);
    // The first one is anywhere in the interval: who registers at the same moment need not renew at the same.
    else
      this.#periods.set(intervalMs, { items: new Set([item]), dueAtMs: nowMs + this.#random() * intervalMs });
  }

  remove(item: Item, intervalMs: number): void {
    const period = this.#periods.get(intervalMs);
    period?.items.delete(item);
    if (period?.items.size === 0) this.#periods.delete(intervalMs);
  }

  nextDueMs(): number {
    return Math.min(...[...this.#periods.values()].map(({ dueAtMs }) => dueAtMs));
  }

  shortestIntervalMs(): number {
    return Math.min(...this.#periods.keys());
  }

  /** What is due now, or soon enough to go along; its next time is set. */
  takeDue(nowMs: number): DueRenewals<Item> {
    const due = [...this.#periods].filter(
      ([intervalMs, { dueAtMs }]) => dueAtMs <= nowMs + intervalMs * JITTER,
    );
    for (const [intervalMs, period] of due) {
      period.dueAtMs = nowMs + intervalMs * (1 - JITTER * this.#random());
    }
    return {
      intervalsMs: due.map(([intervalMs]) => intervalMs),
      items: due.flatMap(([, { items }]) => [...items]),
    };
  }

  /** What failed is due again at this time, or when it is due anyway. */
  retry(intervalsMs: readonly number[], atMs: number): void {
    for (const intervalMs of intervalsMs) {
      const period = this.#periods.get(intervalMs);
      if (period !== undefined) period.dueAtMs = Math.min(period.dueAtMs, atMs);
    }
  }
}
