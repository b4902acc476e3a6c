import type { Clock } from '../clock.js';
import type { EventDraft } from '../domain/change.js';
import type { LoggedChange } from '../domain/event-log.js';
import { arrivalsBelow } from '../domain/subtree-walk.js';
import type { TreeAsOf } from '../domain/tree-as-of.js';
import { matchesFilter } from '../domain/watch-filter.js';
import type { RegistryState } from './registry-state.js';
import type { WatchFanOut } from './watch-fan-out.js';
import type { WatchFeed } from './watch-feed.js';
import type { WatchFlusher } from './watch-flusher.js';
import type { WatchText } from './watch-text.js';
import type { WorkSlices } from './work-slices.js';

/** What a step makes before it is sent. */
const STEP_BYTES = 64 * 1024;
/** Nodes that may change during one walk: what a walk remembers of them must not grow without end. */
const MAX_REMEMBERED_NODES = 100_000;

/** What all replays share. */
export interface ReplayContext {
  readonly state: RegistryState;
  readonly clock: Clock;
  readonly work: WorkSlices;
  readonly text: WatchText;
  readonly flusher: WatchFlusher;
  readonly fanOut: WatchFanOut;
  /** How long one who does not read may hold up others, or a walk. */
  readonly patienceMs: number;
  /** Changes looked at, or nodes walked, in one step. */
  readonly stepItems: number;
  /** The feed has heard everything. */
  readonly onLive: () => void;
}

interface Walk {
  readonly view: TreeAsOf;
  readonly revision: number;
  readonly atMs: number;
  readonly arrivals: Iterator<EventDraft | undefined, undefined>;
}

/**
 * Brings a feed from an earlier revision to the present: tells what the log has, then what came into its subtree with
 * an ancestor, as fast as its members read. Then the feed is live.
 */
export class WatchReplay {
  readonly feed: WatchFeed;
  readonly #context: ReplayContext;
  readonly #isResumed: boolean;
  /** Everything up to here was told. */
  #toldUpTo: number;
  #change: LoggedChange | undefined;
  #nextEvent = 0;
  #walk: Walk | undefined;
  #isStopped = false;
  #isParked = false;
  #patience: NodeJS.Timeout | undefined;

  /** `isResumed`: its members are told when they have heard everything. */
  constructor(context: ReplayContext, feed: WatchFeed, since: number, isResumed: boolean) {
    this.#context = context;
    this.feed = feed;
    this.#toldUpTo = since;
    this.#isResumed = isResumed;
  }

  start(): void {
    this.#context.work.add(() => {
      try {
        return this.#step();
      } catch (error) {
        // They come back, and are told something else or end again; others go on.
        for (const { watcher } of this.feed.members) watcher.end();
        throw error;
      }
    });
  }

  /** A piece of the work; true where there is no more, or none for now. */
  #step(): boolean {
    const { feed } = this;
    if (this.#isStopped) return true;
    if (feed.inFlight > 0) return false;
    if (feed.isBlocked) {
      this.#park();
      return true;
    }
    const { position, isBetweenChanges } = this.#context.fanOut;
    if (this.#walk !== undefined) this.#walkOn(this.#walk);
    else if (this.#change !== undefined || this.#toldUpTo < position) this.#readLog(position);
    else if (this.#toldUpTo === position && isBetweenChanges) return this.#arrive();
    return false;
  }

  /** Somebody reads again. */
  wake(): void {
    if (!this.#isParked || this.#isStopped) return;
    this.#isParked = false;
    clearTimeout(this.#patience);
    this.start();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#patience);
    this.#endWalk();
  }

  #park(): void {
    this.#isParked = true;
    // One who watches alone may take its time, as long as nothing need be kept for it.
    if (this.#walk === undefined && this.feed.members.size === 1) return;
    this.#patience = setTimeout(() => {
      for (const { watcher } of [...this.feed.members]) if (watcher.isBlocked) watcher.drop();
      this.wake();
    }, this.#context.patienceMs);
  }

  #readLog(position: number): void {
    const { state, flusher } = this.#context;
    if (this.#toldUpTo < state.eventLog.floor) {
      this.#reset('too_old');
      return;
    }
    let left = this.#context.stepItems;
    while (left > 0 && this.feed.pendingBytes < STEP_BYTES) {
      this.#change ??= state.eventLog.changesAfter(this.#toldUpTo, 1)[0];
      if (this.#change === undefined || this.#change.revision > position) {
        this.#change = undefined;
        this.#toldUpTo = position;
        break;
      }
      left -= this.#tellSome(this.#change, left);
    }
    flusher.flush(this.feed);
  }

  /** Tells at most so many events of a change; returns how many it looked at. */
  #tellSome(change: LoggedChange, limit: number): number {
    const start = this.#nextEvent;
    const end = Math.min(start + limit, change.events.length);
    for (const event of change.events.slice(start, end)) {
      if (matchesFilter(this.feed.filter, event)) this.#context.fanOut.tell(this.feed, event, change);
    }
    this.#nextEvent = end;
    if (end < change.events.length) return end - start;
    this.feed.endBatch(change.revision);
    this.#toldUpTo = change.revision;
    this.#change = undefined;
    this.#nextEvent = 0;
    return Math.max(1, end - start);
  }

  /** Everything in the log is told. True where that was all. */
  #arrive(): boolean {
    const { feed } = this;
    const { state, fanOut, text } = this.#context;
    const { position } = fanOut;
    if (feed.owed.size === 0) {
      if (this.#isResumed) feed.append(text.bookmark(position));
      this.#context.onLive();
      fanOut.add(feed);
      return true;
    }
    const { namespace, subtree } = feed.filter;
    // A view is of the present; where that is ahead, the log has more to tell first.
    if (position !== state.revision || subtree === undefined) return false;
    const view = state.openView();
    const arrivals = arrivalsBelow(view, namespace, subtree, feed.owed);
    this.#walk = { view, revision: position, atMs: this.#context.clock.wallMs(), arrivals };
    return false;
  }

  #walkOn({ view, revision, atMs, arrivals }: Walk): void {
    const { text, flusher, stepItems } = this.#context;
    if (view.size > MAX_REMEMBERED_NODES) {
      this.#reset('too_slow');
      return;
    }
    for (let left = stepItems; left > 0 && this.feed.pendingBytes < STEP_BYTES; left -= 1) {
      const { done, value } = arrivals.next();
      if (done === true) {
        this.feed.settle(revision);
        this.#toldUpTo = revision;
        this.#endWalk();
        break;
      }
      if (value !== undefined) this.feed.addEvent(text.arrival(value, revision, atMs));
    }
    flusher.flush(this.feed);
  }

  #reset(reason: 'too_old' | 'too_slow'): void {
    const { fanOut, flusher } = this.#context;
    const { position } = fanOut;
    this.#endWalk();
    this.#change = undefined;
    this.#nextEvent = 0;
    this.feed.reset(position, reason);
    this.#toldUpTo = position;
    flusher.flush(this.feed);
  }

  #endWalk(): void {
    if (this.#walk !== undefined) this.#context.state.closeView(this.#walk.view);
    this.#walk = undefined;
  }
}
