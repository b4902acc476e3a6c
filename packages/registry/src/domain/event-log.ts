import type { EventDraft } from './change.js';
import { estimateEventBytes } from './event-size.js';

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

export interface EventLogLimits {
  readonly maxChanges: number;
  /** Of memory, estimated: events with large metadata make it shorter. */
  readonly maxBytes: number;
}

/** Room for 100,000 changes of ordinary members. */
export const EVENT_LOG_MAX_BYTES = 128 * 1024 * 1024;

/** What is cut off at a time, so that an append costs the same whatever the log holds. */
const CUT = 0.1;

/** The last changes, oldest first, bounded in number and in bytes. */
export class EventLog {
  readonly #limits: EventLogLimits;
  #changes: LoggedChange[] = [];
  /** Of each change. */
  #sizes: number[] = [];
  #bytes = 0;
  #floor = 0;

  constructor(limits: EventLogLimits) {
    this.#limits = limits;
  }

  /** Every change of a later revision is in the log. */
  get floor(): number {
    return this.#floor;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** To be called before the first append: nothing is known of changes up to `floor`. */
  begin(floor: number): void {
    this.#floor = floor;
  }

  append(change: LoggedChange): void {
    if (change.events.length === 0) return;
    const bytes = change.events.reduce((sum, event) => sum + estimateEventBytes(event), 0);
    this.#changes.push(change);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    const { maxChanges, maxBytes } = this.#limits;
    if (this.#changes.length > maxChanges * (1 + CUT) || this.#bytes > maxBytes) this.#cut();
  }

  /** Changes of revisions above `since`, oldest first, at most `limit`. */
  changesAfter(since: number, limit: number): readonly LoggedChange[] {
    const index = this.#indexAfter(since);
    return this.#changes.slice(index, index + limit);
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

  #cut(): void {
    const { maxChanges, maxBytes } = this.#limits;
    const roomBytes = this.#bytes > maxBytes ? maxBytes * (1 - CUT) : maxBytes;
    let count = 0;
    while (this.#changes.length - count > maxChanges || this.#bytes > roomBytes) {
      this.#bytes -= this.#sizes[count] ?? 0;
      count += 1;
    }
    this.#floor = this.#changes[count - 1]?.revision ?? this.#floor;
    this.#changes = this.#changes.slice(count);
    this.#sizes = this.#sizes.slice(count);
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
