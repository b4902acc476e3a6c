import { MembraneError } from '@membrane/protocol';
import type { Clock } from '../clock.js';
import type { Change } from '../domain/change.js';
import type { WatchFilter } from '../domain/watch-filter.js';
import type { RegistryState } from './registry-state.js';
import type { ShownRevision } from './revision-log.js';
import { HeldTexts } from './held-texts.js';
import { WatchFanOut } from './watch-fan-out.js';
import { WatchFeed, type Member } from './watch-feed.js';
import { WatchFlusher } from './watch-flusher.js';
import { WatchReplay } from './watch-replay.js';
import { END_OF_EVENT, WatchText } from './watch-text.js';
import { Watcher, type WatchSink } from './watcher.js';
import type { WorkSlices } from './work-slices.js';

/** How long one who lost its connection is to wait, at least and at most: not all are to come back at once. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 3_000;
/** When one should try again who found no room. */
const FULL_RETRY_MS = 5_000;

export const WATCH_PACE = Object.freeze({
  /** What comes within this time goes out as one write a watcher. */
  flushMs: 50,
  /** How often quiet watchers are told where they are. */
  bookmarkMs: 15_000,
  /** How long one who does not read may hold up others of the same filter. */
  patienceMs: 5_000,
  /** Events told, changes looked at, or nodes walked before other work gets its turn. */
  stepItems: 200,
});
export type WatchPace = Readonly<Record<keyof typeof WATCH_PACE, number>>;

export interface WatchHubOptions {
  readonly state: RegistryState;
  readonly clock: Clock;
  readonly work: WorkSlices;
  /** Gives 0 to 1. */
  readonly random: () => number;
  readonly maxStreams: number;
  /** For one watcher. */
  readonly maxBufferBytes: number;
  /** For all of them together. */
  readonly maxTotalBufferBytes: number;
  readonly pace?: Partial<WatchPace> | undefined;
}

/** Everybody who watches. */
export class WatchHub {
  readonly #options: WatchHubOptions;
  readonly #pace: WatchPace;
  readonly #text: WatchText;
  readonly #flusher: WatchFlusher;
  readonly #fanOut: WatchFanOut;
  readonly #held: HeldTexts;
  readonly #members = new Map<Watcher, Member>();
  readonly #replays = new Map<WatchFeed, WatchReplay>();
  #bookmarks: NodeJS.Timeout | undefined;

  constructor(options: WatchHubOptions) {
    this.#options = options;
    this.#pace = { ...WATCH_PACE, ...options.pace };
    const { state, clock, work } = options;
    this.#held = new HeldTexts(options.maxTotalBufferBytes);
    this.#text = new WatchText(() => state.logId);
    this.#flusher = new WatchFlusher({ clock, work, intervalMs: this.#pace.flushMs });
    this.#fanOut = new WatchFanOut({
      state,
      work,
      text: this.#text,
      flusher: this.#flusher,
      stepItems: this.#pace.stepItems,
      onOwed: (feed, revision) => {
        this.#replay(feed, revision, false);
      },
    });
  }

  get size(): number {
    return this.#members.size;
  }

  /** @throws MembraneError `rate_limited` where nobody more may watch. */
  checkRoom(): void {
    const { maxStreams } = this.#options;
    if (this.size < maxStreams) return;
    throw new MembraneError('rate_limited', `${maxStreams} watch already, which is the most there may be`, {
      details: { retryAfterMs: FULL_RETRY_MS },
    });
  }

  /** Begins to tell: from `start` on, or from now on. `start` must not be ahead of this registry. */
  open(filter: WatchFilter, start: ShownRevision | undefined, sink: WatchSink): Watcher {
    const { random, maxBufferBytes } = this.#options;
    const watcher: Watcher = new Watcher({
      sink,
      held: this.#held,
      maxBufferBytes,
      onOverflow: () => {
        this.#leave(watcher);
      },
      onDrained: (missed) => {
        if (missed) this.#rejoin(watcher, filter);
        else this.#wake(watcher);
      },
    });
    const feed = this.#join(watcher, filter);
    feed.append(this.#text.retry(MIN_RETRY_MS + random() * (MAX_RETRY_MS - MIN_RETRY_MS)));
    this.#begin(feed, start);
    this.#bookmarks ??= setInterval(() => {
      this.#fanOut.bookmark();
    }, this.#pace.bookmarkMs);
    return watcher;
  }

  /** The watcher has gone. */
  close(watcher: Watcher): void {
    watcher.release();
    this.#leave(watcher);
    this.#members.delete(watcher);
    if (this.#members.size > 0) return;
    clearInterval(this.#bookmarks);
    this.#bookmarks = undefined;
  }

  /** A change was applied. */
  noteChange(change: Change, revision: number): void {
    this.#fanOut.noteChange(change, revision);
  }

  /** Tells what is still to be told, and ends every stream. */
  stop(): void {
    this.#fanOut.finish();
    this.#flusher.stop();
    for (const watcher of [...this.#members.keys()]) {
      watcher.end();
      this.close(watcher);
    }
  }

  #begin(feed: WatchFeed, start: ShownRevision | undefined): void {
    const { state } = this.#options;
    const { position } = this.#fanOut;
    if (start === undefined) feed.append(this.#text.bookmark(position));
    else if (!state.owns(start)) feed.reset(position, 'other_log');
    else if (start.revision < state.eventLog.floor) feed.reset(position, 'too_old');
    else {
      this.#replay(feed, start.revision, true);
      return;
    }
    this.#replay(feed, position, false);
  }

  #replay(feed: WatchFeed, since: number, isResumed: boolean): void {
    const { state, clock, work } = this.#options;
    const context = {
      state,
      clock,
      work,
      text: this.#text,
      flusher: this.#flusher,
      fanOut: this.#fanOut,
      patienceMs: this.#pace.patienceMs,
      stepItems: this.#pace.stepItems,
      onLive: () => {
        this.#replays.delete(feed);
      },
    };
    const replay = new WatchReplay(context, feed, since, isResumed);
    this.#replays.set(feed, replay);
    this.#flusher.schedule(feed);
    replay.start();
  }

  #join(watcher: Watcher, filter: WatchFilter): WatchFeed {
    const feed = new WatchFeed(filter, this.#text);
    const member: Member = { watcher, feed, isGone: false };
    feed.members.add(member);
    this.#members.set(watcher, member);
    return feed;
  }

  /** It has missed something, and reads again. */
  #rejoin(watcher: Watcher, filter: WatchFilter): void {
    if (!this.#members.has(watcher)) return;
    const feed = this.#join(watcher, filter);
    // It may have been told half of an event.
    feed.append(END_OF_EVENT);
    const { position } = this.#fanOut;
    feed.reset(position, 'too_slow');
    this.#replay(feed, position, false);
  }

  #leave(watcher: Watcher): void {
    const member = this.#members.get(watcher);
    if (member === undefined || member.isGone) return;
    member.isGone = true;
    const { feed } = member;
    feed.members.delete(member);
    if (feed.members.size > 0) return;
    this.#fanOut.remove(feed);
    this.#replays.get(feed)?.stop();
    this.#replays.delete(feed);
  }

  #wake(watcher: Watcher): void {
    const member = this.#members.get(watcher);
    if (member !== undefined) this.#replays.get(member.feed)?.wake();
  }
}
