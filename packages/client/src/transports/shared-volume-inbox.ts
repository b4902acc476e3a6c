import { LIMITS, type MembraneError } from '@membrane/protocol';
import type { Clock, Timer } from '../clock.js';
import { isMissing, toStoreError } from '../messaging/durable-files.js';
import type { MessageTaker } from '../messaging/message-taker.js';
import { toMembraneError } from '../to-membrane-error.js';
import { CLAIM_LEASE_MS, ClaimLease, ClaimRecovery } from './claim-lease.js';
import { DirectoryWatch } from './directory-watch.js';
import { Maildir } from './maildir.js';
import { OlderMessages } from './older-messages.js';
import { VolumeHandOver } from './volume-hand-over.js';
import { MAX_KNOWN_FILES, VolumeReader, type Due } from './volume-reader.js';

export interface SharedVolumeInboxOptions {
  /** The inbox of one receiver; several processes may read it. */
  readonly directory: string;
  readonly taker: MessageTaker;
  readonly clock: Clock;
  /** How often the directory is looked at. Shorter finds sooner what no hint told of, and costs two listings each. */
  readonly pollIntervalMs?: number | undefined;
  /** False relies on looking alone. */
  readonly watch?: boolean | undefined;
  readonly maxMessageBytes?: number | undefined;
  /** Names of waiting files that are remembered at a time. */
  readonly maxKnownFiles?: number | undefined;
  /** See {@link CLAIM_LEASE_MS}. */
  readonly claimLeaseMs?: number | undefined;
  /** The directory cannot be used, told once until it can: messages wait there meanwhile, and it goes on trying. */
  readonly onError?: ((error: MembraneError) => void) | undefined;
}

export const DEFAULT_POLL_INTERVAL_MS = 1_000;

/** Dead letters that are kept; beyond it the oldest go. */
export const MAX_DEAD_LETTERS = 10_000;

const TEMPORARY_SWEEP_MS = 3_600_000;

const NOTHING_DUE: Due = { list: false, older: false, refused: false };
const ALL_DUE: Due = { list: true, older: true, refused: true };

/**
 * Receives the messages of an inbox directory. In the order of their names it claims as many as the taker has room for,
 * one after the other. What was handled is removed, what failed for good goes to `dead/`, what the taker cannot have yet
 * goes back to its place. A claim outlives its process: others find it when they start, and every 10 s.
 */
export class SharedVolumeInbox {
  readonly #options: SharedVolumeInboxOptions;
  readonly #leaseMs: number;
  readonly #maildir: Maildir;
  readonly #lease: ClaimLease;
  readonly #recovery: ClaimRecovery;
  readonly #watch: DirectoryWatch;
  readonly #handOver: VolumeHandOver;
  readonly #reader: VolumeReader;
  /** Starts and stops, one after the other. */
  #order: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isTroubled = false;
  #due: Due | undefined;
  #isReading = false;
  #reading: Promise<void> = Promise.resolve();
  #poll: Timer | undefined;
  #sweep: Timer | undefined;
  #sweptTemporaryAtMs = Number.NEGATIVE_INFINITY;
  #stopListening: (() => void) | undefined;

  constructor(options: SharedVolumeInboxOptions) {
    const { directory, taker, clock, maxMessageBytes = LIMITS.maxMessageBytes } = options;
    this.#options = options;
    this.#leaseMs = options.claimLeaseMs ?? CLAIM_LEASE_MS;
    const maildir = new Maildir(directory);
    this.#maildir = maildir;
    this.#lease = new ClaimLease(maildir, clock, this.#leaseMs);
    this.#recovery = new ClaimRecovery(maildir, clock, this.#leaseMs);
    this.#handOver = new VolumeHandOver({
      maildir,
      claimant: this.#lease.claimant,
      taker,
      maxMessageBytes,
      onGivenBack: (name, key) => {
        this.#reader.putBack(name, key);
      },
      onFree: () => void this.#endWhenFree(),
      onTrouble: (error) => {
        this.#tell(error);
      },
    });
    this.#reader = new VolumeReader({
      maildir,
      older: new OlderMessages(maildir, maxMessageBytes),
      lease: this.#lease,
      handOver: this.#handOver,
      hasRoom: () => this.#isStarted && taker.window > 0,
      maxKnownFiles: options.maxKnownFiles ?? MAX_KNOWN_FILES,
    });
    this.#watch = new DirectoryWatch(maildir, {
      onWaiting: (name) => {
        if (name !== undefined) this.#reader.hint(name);
        this.#wake(name === undefined ? { list: true } : {});
      },
      onOlder: () => {
        this.#wake({ older: true });
      },
    });
  }

  /**
   * Makes the directories, puts back what dead consumers had claimed, and begins to read. Does nothing where it runs.
   * @throws MembraneError `store_unavailable` where the directory cannot be used
   */
  start(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#isStarted) return;
      try {
        await this.#prepare();
        await this.#recovery.recover(this.#lease.claimant);
      } catch (error) {
        throw this.#explain(error);
      }
      this.#isStarted = true;
      this.#stopListening = this.#options.taker.onWindowChange(() => {
        this.#wake({ refused: true });
      });
      this.#awaitPoll();
      this.#awaitSweep();
      this.#openWatch();
      this.#wake(ALL_DUE);
    });
  }

  /**
   * Claims nothing more. What the taker has in its hands stays claimed until that is through with it, or gives it back,
   * or this process ends.
   */
  stop(): Promise<void> {
    return this.#inOrder(async () => {
      if (!this.#isStarted) return;
      this.#isStarted = false;
      this.#stopListening?.();
      this.#watch.close();
      this.#poll?.cancel();
      await this.#reading;
      await this.#handOver.settled();
      await this.#guard(() => this.#handOver.settleOwed());
      await this.#endWhenFree();
    });
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#order.then(work);
    this.#order = done.catch(() => undefined);
    return done;
  }

  async #prepare(): Promise<void> {
    await this.#maildir.make();
    await this.#lease.renew();
  }

  #awaitPoll(): void {
    this.#poll = this.#options.clock.setTimer(() => {
      this.#awaitPoll();
      if (!this.#watch.isOpen) this.#openWatch();
      this.#wake(ALL_DUE);
    }, this.#options.pollIntervalMs ?? DEFAULT_POLL_INTERVAL_MS);
  }

  #openWatch(): void {
    if (this.#options.watch !== false) this.#watch.open();
  }

  #awaitSweep(): void {
    this.#sweep?.cancel();
    this.#sweep = this.#options.clock.setTimer(() => void this.#sweepNow(), this.#leaseMs / 3);
  }

  /** Never rejects. Goes on after a stop, as long as anything is claimed. */
  async #sweepNow(): Promise<void> {
    await this.#guard(async () => {
      await this.#lease.renew();
      await this.#handOver.settleOwed();
      if (!this.#isStarted) return;
      if ((await this.#recovery.recover(this.#lease.claimant)) > 0) this.#wake({ list: true });
      await this.#trim();
    });
    if (this.#isStarted || this.#handOver.hasClaims) this.#awaitSweep();
    else await this.#endWhenFree();
  }

  /** What one part refuses keeps nothing from the other. */
  async #trim(): Promise<void> {
    try {
      await this.#maildir.trimDead(MAX_DEAD_LETTERS);
    } finally {
      const nowMs = this.#options.clock.monotonicMs();
      if (nowMs - this.#sweptTemporaryAtMs >= TEMPORARY_SWEEP_MS) {
        this.#sweptTemporaryAtMs = nowMs;
        await this.#maildir.sweepTemporary();
      }
    }
  }

  async #endWhenFree(): Promise<void> {
    if (this.#isStarted || this.#handOver.hasClaims) return;
    this.#sweep?.cancel();
    await this.#lease.end().catch(() => undefined);
  }

  #wake(due: Partial<Due>): void {
    if (!this.#isStarted) return;
    const known = this.#due ?? NOTHING_DUE;
    this.#due = {
      list: known.list || due.list === true,
      older: known.older || due.older === true,
      refused: known.refused || due.refused === true,
    };
    if (this.#isReading) return;
    this.#isReading = true;
    this.#reading = this.#read();
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    while (this.#isStarted && this.#due !== undefined) {
      const due = this.#due;
      this.#due = undefined;
      // What went wrong would do so again: it waits for the next look.
      if (!(await this.#guard(() => this.#reader.read(due)))) break;
    }
    this.#isReading = false;
  }

  /** @returns false where it failed. */
  async #guard(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#isTroubled = false;
      return true;
    } catch (error) {
      // Where somebody removed the directory it is made anew.
      const isMade = isMissing(error) && this.#isStarted && (await isDone(this.#prepare()));
      if (isMade) this.#openWatch();
      else this.#tell(error);
      return false;
    }
  }

  #tell(error: unknown): void {
    if (this.#isTroubled) return;
    this.#isTroubled = true;
    this.#options.onError?.(this.#explain(error));
  }

  #explain(error: unknown): MembraneError {
    return toMembraneError(toStoreError(`the inbox ${this.#options.directory}`, error));
  }
}

async function isDone(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
