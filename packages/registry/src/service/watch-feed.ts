import type { WatchResetReason } from '@membrane/protocol';
import { filterKey, type WatchFilter } from '../domain/watch-filter.js';
import type { Watcher } from './watcher.js';
import { END_OF_EVENT, type WatchText } from './watch-text.js';

/** What is written at once at most; less than any buffer of a watcher. */
const MAX_PIECE_BYTES = 64 * 1024;

/** A watcher's place in a feed. One that comes back after it has missed something gets a new one. */
export interface Member {
  readonly watcher: Watcher;
  feed: WatchFeed;
  /** True where what is on its way to it is not for it any more. */
  isGone: boolean;
}

/** Watchers that are told the same: they have one filter and have heard everything up to one revision. */
export class WatchFeed {
  readonly filter: WatchFilter;
  readonly key: string;
  readonly members = new Set<Member>();
  /**
   * Ids that came into the subtree, or were moved within it since one came: what is below them is still to be told,
   * and until then no revision is named that one could go on from.
   */
  readonly owed = new Set<string>();
  /** Pieces on their way to the members. */
  inFlight = 0;
  readonly #text: WatchText;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #isOpen = false;

  constructor(filter: WatchFilter, text: WatchText) {
    this.filter = filter;
    this.key = filterKey(filter);
    this.#text = text;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** True while somebody takes nothing more. */
  get isBlocked(): boolean {
    for (const { watcher } of this.members) if (watcher.isBlocked) return true;
    return false;
  }

  append(text: Buffer): void {
    this.#pending.push(text);
    this.#pendingBytes += text.length;
  }

  /** An event without its end, of the batch that is open. */
  addEvent(text: Buffer): void {
    if (this.#isOpen) this.append(END_OF_EVENT);
    this.append(text);
    this.#isOpen = true;
  }

  /** Ends the batch of a revision, if there is one. */
  endBatch(revision: number): void {
    if (!this.#isOpen) return;
    this.append(this.owed.size > 0 ? END_OF_EVENT : this.#text.endOfBatch(revision));
    this.#isOpen = false;
  }

  /** What is owed was told: from this revision one can go on. */
  settle(revision: number): void {
    this.owed.clear();
    if (this.#isOpen) this.endBatch(revision);
    else this.append(this.#text.bookmark(revision));
  }

  /** Something was missed: from this revision it goes on. */
  reset(revision: number, reason: WatchResetReason): void {
    this.owed.clear();
    if (this.#isOpen) this.append(END_OF_EVENT);
    this.#isOpen = false;
    this.append(this.#text.reset(revision, reason));
  }

  /** Takes out what is to be sent, in pieces. */
  take(): Buffer[] {
    const pieces: Buffer[] = [];
    let texts: Buffer[] = [];
    let bytes = 0;
    for (const text of this.#pending) {
      if (bytes > 0 && bytes + text.length > MAX_PIECE_BYTES) {
        pieces.push(Buffer.concat(texts, bytes));
        texts = [];
        bytes = 0;
      }
      texts.push(text);
      bytes += text.length;
    }
    if (bytes > 0) pieces.push(Buffer.concat(texts, bytes));
    this.#pending = [];
    this.#pendingBytes = 0;
    return pieces;
  }
}
