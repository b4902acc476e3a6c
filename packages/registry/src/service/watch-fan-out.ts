import type { Change, EventDraft } from '../domain/change.js';
import type { LoggedChange } from '../domain/event-log.js';
import { changesPlace, entersSubtree, heirsOf, inheritedBy } from '../domain/watch-filter.js';
import { WatchIndex } from '../domain/watch-index.js';
import type { RegistryState } from './registry-state.js';
import type { WatchFeed } from './watch-feed.js';
import type { WatchFlusher } from './watch-flusher.js';
import type { WatchText } from './watch-text.js';
import type { WorkSlices } from './work-slices.js';

export interface WatchFanOutOptions {
  readonly state: RegistryState;
  readonly work: Pick<WorkSlices, 'add'>;
  readonly text: WatchText;
  readonly flusher: Pick<WatchFlusher, 'schedule' | 'flush'>;
  /** Feeds told of an event in one step. */
  readonly stepItems: number;
  /** The feed is not live any more: it has heard everything up to the revision, and is to be told what came along. */
  readonly onOwed: (feed: WatchFeed, revision: number) => void;
}

/** Tells the feeds that are live of every change, one after the other, in slices. */
export class WatchFanOut {
  readonly #options: WatchFanOutOptions;
  readonly #index = new WatchIndex<WatchFeed>();
  /** One a filter. */
  readonly #feeds = new Map<string, WatchFeed>();
  #isRunning = false;
  #position = 0;
  /** What is left to do of a change. */
  #telling: Iterator<undefined> | undefined;
  #isBookmarkDue = false;

  constructor(options: WatchFanOutOptions) {
    this.#options = options;
  }

  /** Up to here every feed that is live was told. */
  get position(): number {
    return this.#isRunning ? this.#position : this.#options.state.revision;
  }

  /** False while feeds are told of one change: who comes then would hear half of it. */
  get isBetweenChanges(): boolean {
    return this.#telling === undefined;
  }

  /** A change was applied. */
  noteChange({ events }: Change, revision: number): void {
    if (this.#isRunning || events.length === 0 || this.#feeds.size === 0) return;
    this.#position = revision - 1;
    this.#isRunning = true;
    this.#options.work.add(this.#run);
  }

  /** The feed has heard everything up to `position`, between two changes. Its members go to one of the same filter. */
  add(feed: WatchFeed): void {
    const { flusher } = this.#options;
    const live = this.#feeds.get(feed.key);
    if (live === undefined) {
      this.#feeds.set(feed.key, feed);
      this.#index.add(feed);
      flusher.schedule(feed);
      return;
    }
    flusher.flush(feed);
    // What waits there is not for those who come.
    flusher.flush(live);
    for (const member of feed.members) {
      live.members.add(member);
      member.feed = live;
    }
    feed.members.clear();
  }

  remove(feed: WatchFeed): void {
    if (!this.#isLive(feed)) return;
    this.#feeds.delete(feed.key);
    this.#index.remove(feed);
  }

  /** Tells a feed of an event that passes its filter. */
  tell(feed: WatchFeed, event: EventDraft, { revision, atMs }: LoggedChange): void {
    feed.addEvent(this.#options.text.event(event, revision, atMs));
    if (feed.filter.subtree === undefined) return;
    for (const childId of inheritedBy(event, feed.filter.subtree)) feed.owed.add(childId);
    // What it was owed below one that was dissolved since is now below the heirs.
    if (feed.owed.has(event.id)) for (const heir of heirsOf(event)) feed.owed.add(heir);
    const comes = entersSubtree(feed.filter, event) || (feed.owed.size > 0 && changesPlace(event));
    if (comes && this.#mayBringOthers(event, revision)) feed.owed.add(event.id);
  }

  /** Tells of every change that was applied, now. */
  finish(): void {
    while (this.#isRunning) this.#run();
  }

  /** Tells every feed up to where it was told everything. */
  bookmark(): void {
    this.#isBookmarkDue = this.#telling !== undefined;
    if (this.#isBookmarkDue) return;
    const text = this.#options.text.bookmark(this.position);
    for (const feed of this.#feeds.values()) {
      feed.append(text);
      this.#options.flusher.schedule(feed);
    }
  }

  readonly #run = (): boolean => {
    try {
      return this.#tellSome();
    } catch (error) {
      // What cannot be told is missed; to be stuck with it would be worse.
      this.#telling = undefined;
      this.#isRunning = false;
      this.#resetAll();
      throw error;
    }
  };

  #tellSome(): boolean {
    for (let left = this.#options.stepItems; left > 0; left -= 1) {
      this.#telling ??= this.#beginNext();
      if (this.#telling === undefined) {
        this.#isRunning = false;
        return true;
      }
      if (this.#telling.next().done !== true) continue;
      this.#telling = undefined;
      if (this.#isBookmarkDue) this.bookmark();
    }
    return false;
  }

  #beginNext(): Iterator<undefined> | undefined {
    const { eventLog } = this.#options.state;
    // Looked at before each change: the log may have let go of the next one while the last was told.
    if (eventLog.floor > this.#position) this.#resetAll();
    const change = eventLog.changesAfter(this.#position, 1)[0];
    return change === undefined ? undefined : this.#tellAll(change);
  }

  /** A step is one event for one feed, or the end of a batch. */
  *#tellAll(change: LoggedChange): Generator<undefined, undefined> {
    const touched = new Set<WatchFeed>();
    for (const event of change.events) {
      yield undefined;
      for (const feed of this.#index.match(event)) {
        if (!this.#isLive(feed)) continue;
        this.tell(feed, event, change);
        touched.add(feed);
        yield undefined;
      }
    }
    this.#position = change.revision;
    for (const feed of touched) {
      this.#endBatch(feed, change.revision);
      yield undefined;
    }
  }

  #endBatch(feed: WatchFeed, revision: number): void {
    feed.endBatch(revision);
    this.#options.flusher.schedule(feed);
    if (feed.owed.size === 0 || !this.#isLive(feed)) return;
    this.remove(feed);
    this.#options.onOwed(feed, revision);
  }

  #isLive(feed: WatchFeed): boolean {
    return this.#feeds.get(feed.key) === feed;
  }

  /** Something cannot be told: changes came faster, and the log has let go of some. */
  #resetAll(): void {
    this.#position = this.#options.state.revision;
    for (const feed of this.#feeds.values()) {
      feed.reset(this.#position, 'too_slow');
      this.#options.flusher.schedule(feed);
    }
  }

  /** False where nothing but the one instance can have come along: most of those that come are new. */
  #mayBringOthers({ namespace, id }: EventDraft, revision: number): boolean {
    const { directory, marks } = this.#options.state;
    return (
      directory.childIds(namespace, id).size > 0 ||
      directory.graveIds(namespace, id).size > 0 ||
      (directory.node(namespace, id)?.instances.length ?? 0) > 1 ||
      // Children that it had then may have gone elsewhere since.
      marks.lastChange('children', namespace, id) > revision
    );
  }
}
