import type { EventDraft } from './change.js';

/** One committed change: its events share the revision. */
export interface LoggedChange {
  readonly revision: number;
  readonly atMs: number;
  readonly events: readonly EventDraft[];
}

export interface LoggedEvent extends EventDraft {
  readonly revision: number;
  readonly atMs: number;
}

export interface EventFilter {
  readonly namespace: string;
  readonly id: string | undefined;
}

/** The last changes, oldest first, bounded in number. */
export class EventLog {
  readonly #limit: number;
  #changes: LoggedChange[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  append(change: LoggedChange): void {
    if (change.events.length === 0) return;
    this.#changes.push(change);
    // Cutting off a tenth at a time keeps the cost of an append constant.
    if (this.#changes.length > this.#limit * 1.1) this.#changes = this.#changes.slice(-this.#limit);
  }

  /** Matching events of revisions above `since`, oldest first, at most `limit`. */
  after(since: number, limit: number, filter: EventFilter): LoggedEvent[] {
    const found: LoggedEvent[] = [];
    for (let index = this.#indexAfter(since); index < this.#changes.length; index += 1) {
      for (const event of matching(this.#changes[index], filter)) {
        if (found.length === limit) return found;
        found.push(event);
      }
    }
    return found;
  }

  /** The last matching events, at most `limit`, oldest first. */
  last(limit: number, filter: EventFilter): LoggedEvent[] {
    const found: LoggedEvent[] = [];
    for (let index = this.#changes.length - 1; index >= 0 && found.length < limit; index -= 1) {
      found.push(...matching(this.#changes[index], filter).reverse());
    }
    return found.slice(0, limit).reverse();
  }

  #indexAfter(revision: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function matching(change: LoggedChange | undefined, filter: EventFilter): LoggedEvent[] {
  if (change === undefined) return [];
  const { revision, atMs } = change;
  return change.events
    .filter(({ namespace, id }) => namespace === filter.namespace && (filter.id ?? id) === id)
    .map((event) => ({ ...event, revision, atMs }));
}
