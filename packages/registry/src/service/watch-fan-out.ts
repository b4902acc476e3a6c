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
  readonly work: WorkSlices;
  readonly text: WatchText;
  readonly flusher: WatchFlusher;
  /** Events told of in one step. */
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
  #change: LoggedChange | undefined;
  #nextEvent = 0;
  readonly #touched = new Set<WatchFeed>();
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
    return this.#change === undefined;
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
    if (this.#feeds.get(feed.key) !== feed) return;
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
    this.#isBookmarkDue = this.#change !== undefined;
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
      this.#change = undefined;
      this.#nextEvent = 0;
      this.#touched.clear();
      this.#isRunning = false;
      this.#resetAll();
      throw error;
    }
  };

  #tellSome(): boolean {
    const { state, stepItems } = this.#options;
    if (state.eventLog.floor > this.#position && this.#change === undefined) this.#resetAll();
    for (let left = stepItems; left > 0; left -= 1) {
      this.#change ??= state.eventLog.changesAfter(this.#position, 1)[0];
      if (this.#change === undefined) {
        this.#isRunning = false;
        return true;
      }
      this.#tellNext(this.#change);
    }
    return false;
  }

  #tellNext(change: LoggedChange): void {
    const event = change.events[this.#nextEvent];
    this.#nextEvent += 1;
    if (event !== undefined) {
      for (const feed of this.#index.match(event)) {
        this.tell(feed, event, change);
        this.#touched.add(feed);
      }
    }
    if (this.#nextEvent < change.events.length) return;
    this.#change = undefined;
    this.#nextEvent = 0;
    this.#position = change.revision;
    for (const feed of this.#touched) this.#endBatch(feed, change.revision);
    this.#touched.clear();
    if (this.#isBookmarkDue) this.bookmark();
  }

  #endBatch(feed: WatchFeed, revision: number): void {
    feed.endBatch(revision);
    this.#options.flusher.schedule(feed);
    if (feed.owed.size === 0 || this.#feeds.get(feed.key) !== feed) return;
    this.remove(feed);
    this.#options.onOwed(feed, revision);
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
