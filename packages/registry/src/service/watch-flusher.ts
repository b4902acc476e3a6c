import type { Clock } from '../clock.js';
import type { WorkSlices } from './work-slices.js';
import type { Member, WatchFeed } from './watch-feed.js';

/** Writes in one step, or feeds whose text is put together. */
const STEP_WRITES = 64;
/** Between two rounds at most, however long the first took: this process may have been stopped meanwhile. */
const MAX_PAUSE_MS = 500;

export interface WatchFlusherOptions {
  readonly clock: Clock;
  readonly work: Pick<WorkSlices, 'add'>;
  readonly intervalMs: number;
}

interface Delivery {
  readonly feed: WatchFeed;
  readonly piece: Buffer;
  readonly members: readonly Member[];
  readonly isOfRound: boolean;
  next: number;
}

/**
 * Sends what feeds have to tell, in slices, in order. A single change goes out at once, and what comes within one
 * interval as one write a watcher. That is a round, and the next begins only when it is over and others have had as
 * much time: where there are more watchers than can be told so often, they are told of more at a time.
 */
export class WatchFlusher {
  readonly #clock: Clock;
  readonly #work: Pick<WorkSlices, 'add'>;
  readonly #intervalMs: number;
  /** Those that have something to tell. */
  readonly #dirty = new Set<WatchFeed>();
  /** Those of them that are still to be told in this round. */
  readonly #due = new Set<WatchFeed>();
  #deliveries: Delivery[] = [];
  #isDelivering = false;
  #timer: NodeJS.Timeout | undefined;
  #roundAtMs = 0;
  #nextRoundAtMs = Number.NEGATIVE_INFINITY;
  /** Deliveries of this round that are not over. */
  #roundLeft = 0;

  constructor({ clock, work, intervalMs }: WatchFlusherOptions) {
    this.#clock = clock;
    this.#work = work;
    this.#intervalMs = intervalMs;
  }

  /** The feed has something to tell. */
  schedule(feed: WatchFeed): void {
    this.#dirty.add(feed);
    this.#awaitRound();
  }

  /** Sends at once what the feed has to tell to those who are in it now. */
  flush(feed: WatchFeed): void {
    this.#send(feed, false);
  }

  /** Sends everything now, and nothing more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const feed of [...this.#due, ...this.#dirty]) this.#send(feed, false);
    while (!this.#deliver()) continue;
  }

  #awaitRound(): void {
    const isUnderWay = this.#roundLeft > 0 || this.#due.size > 0;
    if (this.#timer !== undefined || isUnderWay || this.#dirty.size === 0) return;
    const waitMs = this.#nextRoundAtMs - this.#clock.monotonicMs();
    this.#timer = setTimeout(this.#beginRound, Math.max(0, waitMs));
  }

  readonly #beginRound = (): void => {
    this.#timer = undefined;
    this.#roundAtMs = this.#clock.monotonicMs();
    this.#nextRoundAtMs = this.#roundAtMs + this.#intervalMs;
    for (const feed of this.#dirty) this.#due.add(feed);
    this.#dirty.clear();
    if (!this.#sendDue()) this.#work.add(this.#sendDue);
  };

  readonly #sendDue = (): boolean => this.#goOn(this.#sendDue, () => this.#sendSomeDue());

  readonly #deliver = (): boolean => this.#goOn(this.#deliver, () => this.#deliverSome());

  /** What fails with one watcher must not end the work for all others. */
  #goOn(step: () => boolean, work: () => boolean): boolean {
    try {
      return work();
    } catch (error) {
      this.#work.add(step);
      throw error;
    }
  }

  #sendSomeDue(): boolean {
    let left = STEP_WRITES;
    for (const feed of this.#due) {
      this.#send(feed, true);
      left -= 1;
      if (left === 0) break;
    }
    if (this.#due.size > 0) return false;
    this.#endRoundIfOver();
    return true;
  }

  #endRoundIfOver(): void {
    if (this.#roundLeft > 0 || this.#due.size > 0) return;
    const nowMs = this.#clock.monotonicMs();
    const pauseMs = Math.min(nowMs - this.#roundAtMs, MAX_PAUSE_MS);
    this.#nextRoundAtMs = Math.max(this.#nextRoundAtMs, nowMs + pauseMs);
    this.#awaitRound();
  }

  #send(feed: WatchFeed, isOfRound: boolean): void {
    this.#dirty.delete(feed);
    this.#due.delete(feed);
    const pieces = feed.take();
    if (pieces.length === 0) return;
    const members = [...feed.members];
    for (const piece of pieces) this.#deliveries.push({ feed, piece, members, isOfRound, next: 0 });
    feed.inFlight += pieces.length;
    if (isOfRound) this.#roundLeft += pieces.length;
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    this.#work.add(this.#deliver);
  }

  #deliverSome(): boolean {
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
      if (!delivery.isOfRound) continue;
      this.#roundLeft -= 1;
      this.#endRoundIfOver();
    }
    this.#deliveries = this.#deliveries.slice(done);
    this.#isDelivering = this.#deliveries.length > 0;
    return !this.#isDelivering;
  }
}
