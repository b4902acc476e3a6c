import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ClaimLease } from './claim-lease.js';
import type { Maildir } from './maildir.js';
import type { OlderMessages } from './older-messages.js';
import { isAwaitedLine, type Offer, type VolumeHandOver } from './volume-hand-over.js';
import { WaitingFiles, type RefusalKey } from './waiting-files.js';

/** Names of waiting files that are known at a time. */
export const MAX_KNOWN_FILES = 10_000;
/** Lines of refused messages that are asked for again at a time. */
const MAX_LINES_AT_ONCE = 100;
/** How long other work waits for one run over the files. */
const SLICE_MS = 5;

/** What there is to do. */
export interface Due {
  /** Files may wait that are not known. */
  readonly list: boolean;
  readonly older: boolean;
  /** The taker may have what it refused. */
  readonly refused: boolean;
}

export interface VolumeReaderParts {
  readonly maildir: Maildir;
  readonly older: OlderMessages;
  readonly lease: ClaimLease;
  readonly handOver: VolumeHandOver;
  /** Whether anything more can be taken now. */
  readonly hasRoom: () => boolean;
  readonly maxKnownFiles: number;
}

interface Round {
  isFull: boolean;
  sliceEndsAtMs: number;
}

/** Finds what waits, and offers it in order. */
export class VolumeReader {
  readonly #parts: VolumeReaderParts;
  readonly #files: WaitingFiles;

  constructor(parts: VolumeReaderParts) {
    this.#parts = parts;
    this.#files = new WaitingFiles(parts.maxKnownFiles);
  }

  hint(name: string): void {
    this.#files.hint(name);
  }

  /** One that was taken is in its place again. */
  putBack(name: string, key: RefusalKey): void {
    this.#files.refuse(name, key);
  }

  /**
   * As long as nothing has to be waited for it works in the turn of its caller: a hint is followed at once. One round at
   * a time. Rejects with what the file system says.
   */
  async read({ list, older, refused }: Due): Promise<void> {
    const { lease } = this.#parts;
    const hasOlder = older && (await this.#parts.older.take()).length > 0;
    if (list || hasOlder) await this.#list();
    if (lease.isStale) await lease.renew();
    const round = { isFull: false, sliceEndsAtMs: performance.now() + SLICE_MS };
    if (refused) await this.#offerRefused(round);
    await this.#offerFresh(round);
  }

  async #list(): Promise<void> {
    const { maildir, maxKnownFiles } = this.#parts;
    this.#files.beginList();
    const found = await maildir.list(maxKnownFiles, (name) => !this.#files.isRefused(name));
    // The hints that were on their way: without them a later message could be read before an earlier one.
    await nextTurn();
    this.#files.endList(found.names, found.isPartial);
  }

  async #offerFresh(round: Round): Promise<void> {
    const mustWait = (key: RefusalKey): boolean =>
      (round.isFull && !isAwaitedLine(key)) || this.#files.hasLine(key);
    while (this.#parts.hasRoom()) {
      const name = this.#files.nextFresh();
      if (name === undefined) {
        if (!this.#files.isPartial) return;
        await this.#list();
        continue;
      }
      const offer = this.#parts.handOver.offer(name, mustWait);
      this.#note(name, offer, round);
      await this.#pauseAfterSlice(round);
    }
  }

  async #offerRefused(round: Round): Promise<void> {
    for (const key of this.#files.nextLines(MAX_LINES_AT_ONCE)) {
      if (round.isFull && !isAwaitedLine(key)) continue;
      for (let isTaken = true; isTaken;) {
        const name = this.#files.firstOf(key);
        if (name === undefined || !this.#parts.hasRoom()) break;
        const offer = this.#parts.handOver.offer(name, () => false);
        isTaken = typeof offer === 'string';
        // Its kind may be known only now.
        this.#files.leaveLine(key);
        this.#note(name, offer, round);
        await this.#pauseAfterSlice(round);
      }
    }
  }

  #note(name: string, offer: Offer, round: Round): void {
    if (offer === 'taken') this.#files.left(name);
    else if (offer !== 'gone') {
      this.#files.refuse(name, offer.key);
      round.isFull ||= offer.isFull;
    }
  }

  async #pauseAfterSlice(round: Round): Promise<void> {
    if (performance.now() < round.sliceEndsAtMs) return;
    await nextTurn();
    if (this.#parts.lease.isStale) await this.#parts.lease.renew();
    round.sliceEndsAtMs = performance.now() + SLICE_MS;
  }
}
