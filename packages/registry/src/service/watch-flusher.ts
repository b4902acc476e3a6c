import type { Clock } from '../clock.js';
import type { WorkSlices } from './work-slices.js';
import type { Member, WatchFeed } from './watch-feed.js';

/** Writes in one step, or feeds whose text is put together. */
const STEP_WRITES = 64;

interface Delivery {
  readonly feed: WatchFeed;
  readonly piece: Buffer;
  readonly members: readonly Member[];
  next: number;
}

/**
 * Sends what feeds have to tell: what comes within one interval goes out as one write a watcher, and a single change
 * at once. In slices, in order.
 */
export class WatchFlusher {
  readonly #clock: Clock;
  readonly #work: WorkSlices;
  readonly #intervalMs: number;
  /** Those that have something to tell. */
  readonly #dirty = new Set<WatchFeed>();
  /** Those whose time has come. */
  readonly #due = new Set<WatchFeed>();
  #deliveries: Delivery[] = [];
  #isDelivering = false;
  #timer: NodeJS.Timeout | undefined;
  #flushedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ clock, work, intervalMs }: { clock: Clock; work: WorkSlices; intervalMs: number }) {
    this.#clock = clock;
    this.#work = work;
    this.#intervalMs = intervalMs;
  }

  /** The feed has something to tell. */
  schedule(feed: WatchFeed): void {
    this.#dirty.add(feed);
    if (this.#timer !== undefined) return;
    const waitMs = this.#flushedAtMs + this.#intervalMs - this.#clock.monotonicMs();
    this.#timer = setTimeout(this.#flushDirty, Math.max(0, waitMs));
  }

  /** Sends at once what the feed has to tell to those who are in it now. */
  flush(feed: WatchFeed): void {
    this.#dirty.delete(feed);
    this.#due.delete(feed);
    const pieces = feed.take();
    if (pieces.length === 0) return;
    const members = [...feed.members];
    for (const piece of pieces) this.#deliveries.push({ feed, piece, members, next: 0 });
    feed.inFlight += pieces.length;
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    this.#work.add(this.#deliver);
  }

  /** Sends everything now, and nothing more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const feed of [...this.#due, ...this.#dirty]) this.flush(feed);
    while (!this.#deliver()) continue;
  }

  readonly #flushDirty = (): void => {
    this.#timer = undefined;
    this.#flushedAtMs = this.#clock.monotonicMs();
    const isUnderWay = this.#due.size > 0;
    for (const feed of this.#dirty) this.#due.add(feed);
    this.#dirty.clear();
    if (!isUnderWay && !this.#flushDue()) this.#work.add(this.#flushDue);
  };

  readonly #flushDue = (): boolean => {
    let left = STEP_WRITES;
    for (const feed of this.#due) {
      this.flush(feed);
      left -= 1;
      if (left === 0) break;
    }
    return this.#due.size === 0;
  };

  readonly #deliver = (): boolean => {
    let left = STEP_WRITES;
    let done = 0;
    for (const delivery of this.#deliveries) {
      const { feed, piece, members } = delivery;
      while (left > 0 && delivery.next < members.length) {
        const member = members[delivery.next];
        delivery.next += 1;
        if (member === undefined || member.isGone) continue;
        member.watcher.send(piece);
        left -= 1;
      }
      if (delivery.next < members.length) break;
      feed.inFlight -= 1;
      done += 1;
    }
    this.#deliveries = this.#deliveries.slice(done);
    this.#isDelivering = this.#deliveries.length > 0;
    return !this.#isDelivering;
  };
}
