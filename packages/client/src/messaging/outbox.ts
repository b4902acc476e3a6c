import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MembraneError } from '@membrane/protocol';
import { DirectoryLock } from './directory-lock.js';
import {
  DirectorySync,
  guardFiles,
  makeDirectory,
  placeFile,
  syncDirectory,
  toStoreError,
} from './durable-files.js';
import { parseEntry, serializeEntry, toFileName, type OutboxEntry } from './outbox-entry.js';
import { OutboxDeadDirectory } from './outbox-dead-directory.js';
import { findLeft, type LeftMessages, type WaitingMessage } from './outbox-left.js';
import { SequenceLedger, type EarlierRuns } from './sequence-ledger.js';
import { MAX_FILES_AT_ONCE, Slots } from './slots.js';

export interface OutboxOptions {
  /** Of this outbox alone, on a disk that outlives the process. Made where there is none. */
  readonly directory: string;
  /** Messages that may wait; 100,000 unless given. More wait through a longer outage, and take longer to open. */
  readonly maxMessages?: number;
  /** Of their files together; 1 GiB unless given. */
  readonly maxBytes?: number;
  /** Dead letters kept, the newest ones; 10,000 unless given. */
  readonly maxDeadLetters?: number;
  readonly signal?: AbortSignal | undefined;
}

interface OutboxLimits {
  maxMessages: number;
  maxBytes: number;
  maxDeadLetters: number;
}

export const DEFAULT_OUTBOX_LIMITS: Readonly<OutboxLimits> = Object.freeze({
  maxMessages: 100_000,
  maxBytes: 1024 ** 3,
  maxDeadLetters: 10_000,
});

/**
 * Keeps messages from before they are sent until they are settled, through the end of the process: `new/` has one file
 * a message, `dead/` those that failed for good, `session.json` what receivers know the sender by. One process has it
 * at a time.
 */
export class Outbox {
  /** For the `session` of its messages: the same after a restart. */
  readonly session: string;
  readonly earlier: EarlierRuns;
  readonly dead: OutboxDeadDirectory;
  readonly #directory: string;
  readonly #limits: { readonly maxMessages: number; readonly maxBytes: number };
  readonly #lock: DirectoryLock;
  readonly #ledger: SequenceLedger;
  readonly #sync: DirectorySync;
  readonly #files = new Slots(MAX_FILES_AT_ONCE);
  /** By message id, in the order of sending. */
  readonly #waiting: Map<string, WaitingMessage>;
  #bytes: number;
  #order: number;
  /** Work under way, for `close()`. */
  readonly #underWay = new Set<Promise<unknown>>();
  #state: 'open' | 'lost' | 'closed' = 'open';

  private constructor(
    { directory, maxMessages, maxBytes }: OutboxOptions & OutboxLimits,
    parts: { lock: DirectoryLock; ledger: SequenceLedger; dead: OutboxDeadDirectory; left: LeftMessages },
  ) {
    this.#directory = directory;
    this.#limits = { maxMessages, maxBytes };
    this.#lock = parts.lock;
    this.#ledger = parts.ledger;
    this.session = parts.ledger.session;
    this.earlier = parts.ledger.earlier;
    this.dead = parts.dead;
    this.#sync = new DirectorySync(join(directory, 'new'));
    this.#waiting = parts.left.waiting;
    this.#bytes = parts.left.bytes;
    this.#order = parts.left.order;
  }

  /**
   * Waits up to 8 s where it was last used in another container or on another host, and not closed.
   * @throws MembraneError `conflict` where another process, or another client of this one, has it open;
   * `store_unavailable` where the directory cannot be used.
   */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const { directory, signal } = options;
    const within = (name: string): string => join(directory, name);
    return guardFiles(`the outbox ${directory}`, async () => {
      await makeDirectory(directory, { mode: 0o700 });
      let outbox: Outbox | undefined = undefined;
      const lock = await DirectoryLock.acquire({
        directory: within('lock'),
        what: `the outbox ${directory}`,
        signal,
        onLost: () => outbox?.noteLost(),
      });
      try {
        const limits = { ...DEFAULT_OUTBOX_LIMITS, ...options };
        await rm(within('tmp'), { recursive: true, force: true });
        for (const name of ['tmp', 'new', 'dead']) {
          await makeDirectory(within(name), { mode: 0o700 });
        }
        // An earlier process may have ended before it came to that.
        await syncDirectory(directory);
        const dead = await OutboxDeadDirectory.open(within('dead'), {
          temporary: within('tmp'),
          maxLetters: limits.maxDeadLetters,
        });
        const left = await findLeft(within('new'), dead);
        const ledger = new SequenceLedger(directory);
        return (outbox = new Outbox(limits, { lock, ledger, dead, left }));
      } catch (error) {
        await lock.release();
        throw error;
      }
    });
  }

  /** Messages that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * The next sequence for a target and a stream, or for those to the target without a stream. Never given twice.
   * @throws MembraneError `store_unavailable`, and as `put`.
   */
  nextSequence(target: string, stream?: string): number {
    this.#assertOpen();
    try {
      return this.#ledger.next(target, stream);
    } catch (error) {
      throw toStoreError(this.#what, error);
    }
  }

  /**
   * Resolves when the message is durable: it may be sent then. The order of the calls is the order of sending after a
   * restart. An id that waits already is not put again.
   * @throws MembraneError `mailbox_full` where too much waits here; `store_unavailable` where it cannot be written;
   * `conflict` where another process took the outbox from this one; `client_closed`. Then it is not kept.
   */
  async put(entry: OutboxEntry): Promise<void> {
    this.#assertOpen();
    const { id } = entry.envelope;
    const known = this.#waiting.get(id);
    if (known !== undefined) return known.written;
    const content = serializeEntry(entry);
    const bytes = Buffer.byteLength(content);
    const { maxMessages, maxBytes } = this.#limits;
    if (this.#waiting.size >= maxMessages || this.#bytes + bytes > maxBytes) {
      throw new MembraneError(
        'mailbox_full',
        `${this.#what} is full: ${this.#waiting.size} messages with ${this.#bytes} bytes wait in it`,
      );
    }
    const name = toFileName({ order: (this.#order += 1), messageId: id });
    const written = this.#track(this.#write(name, content));
    this.#waiting.set(id, { name, bytes, written, isLeft: false });
    this.#bytes += bytes;
    try {
      await written;
    } catch (error) {
      this.#forget(id);
      throw error;
    }
  }

  /**
   * Has done with a message of a stream that a place keeps now, until its deadline at most (epoch milliseconds): the next
   * run knows that it may lie there. Never rejects.
   */
  async settleKept(id: string, deadlineAtMs: number): Promise<void> {
    try {
      if (this.#state === 'open') this.#ledger.noteKept(deadlineAtMs);
    } catch {
      // It stays here: sent again by the next run it is known to come, and not handled twice.
      return;
    }
    await this.settle(id);
  }

  /** Has done with a message. Never rejects: one that cannot be removed is sent again after a restart. */
  settle(id: string): Promise<void> {
    const waiting = this.#forget(id);
    if (waiting === undefined) return Promise.resolve();
    return this.#track(
      waiting.written
        .then(() => this.#files.run(() => rm(this.#pathOf(waiting.name), { force: true })))
        .catch(() => undefined),
    );
  }

  /**
   * Makes a dead letter of a message. One that does not wait here is passed over.
   * @throws MembraneError `store_unavailable`; then it waits as before.
   */
  async bury(id: string, error: MembraneError): Promise<void> {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    await waiting.written;
    await this.#track(this.#bury(waiting.name, error));
    this.#forget(id);
  }

  /**
   * What an earlier process left, in the order of sending, each with its attempt counted up. Those whose time was over
   * by the wall clock, and files that are broken, become dead letters.
   */
  async *load(): AsyncIterable<OutboxEntry> {
    const left = [...this.#waiting].filter(([, { isLeft }]) => isLeft);
    for (const [id, waiting] of left) {
      this.#assertOpen();
      if (this.#waiting.get(id) !== waiting) continue;
      const entry = await this.#read(id, waiting.name);
      if (entry instanceof MembraneError) {
        await this.bury(id, entry);
      } else {
        const { envelope } = entry;
        yield { ...entry, envelope: { ...envelope, attempt: (envelope.attempt ?? 1) + 1 } };
      }
    }
  }

  /** Lets another process have it; what waits is kept. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const isHeld = this.#state === 'open';
    this.#state = 'closed';
    await Promise.allSettled(this.#underWay);
    try {
      if (isHeld) this.#ledger.close();
    } finally {
      await this.#lock.release();
    }
  }

  /** Another process took it, since this one was stopped for long. */
  noteLost(): void {
    if (this.#state === 'open') this.#state = 'lost';
  }

  async #write(name: string, content: string): Promise<void> {
    try {
      await this.#files.run(() => placeFile(this.#pathOf(name), join(this.#directory, 'tmp', name), content));
      await this.#sync.sync();
    } catch (error) {
      await rm(this.#pathOf(name), { force: true }).catch(() => undefined);
      throw toStoreError(this.#what, error);
    }
  }

  /** What is in a file, or why it is to be buried. */
  async #read(id: string, name: string): Promise<OutboxEntry | MembraneError> {
    const content = await guardFiles(this.#what, () => readFile(this.#pathOf(name), 'utf8'));
    try {
      const entry = parseEntry(content);
      if (entry.envelope.id !== id) throw new Error('it has the id of another one');
      if (entry.deadlineAtMs > Date.now()) return entry;
      return new MembraneError('expired', 'its time was over before this outbox was opened again');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return new MembraneError('invalid_request', `the file is broken: ${reason}`, { cause });
    }
  }

  async #bury(name: string, error: MembraneError): Promise<void> {
    await guardFiles(this.#what, () =>
      this.#files.run(() => this.dead.take(this.#pathOf(name), name, error)),
    );
  }

  #forget(id: string): WaitingMessage | undefined {
    const waiting = this.#waiting.get(id);
    if (this.#waiting.delete(id)) this.#bytes -= waiting?.bytes ?? 0;
    return waiting;
  }

  /** For people. */
  get #what(): string {
    return `the outbox ${this.#directory}`;
  }

  #pathOf(name: string): string {
    return join(this.#directory, 'new', name);
  }

  #track<Value>(work: Promise<Value>): Promise<Value> {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    return tracked;
  }

  #assertOpen(): void {
    if (this.#state === 'closed') throw new MembraneError('client_closed', 'this outbox was closed');
    if (this.#state === 'open') return;
    throw new MembraneError('conflict', `${this.#what} was taken over by another process`);
  }
}
