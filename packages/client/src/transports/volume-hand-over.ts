import { isMembraneError } from '@membrane/protocol';
import { isMissing } from '../messaging/durable-files.js';
import type { HandlingResult, MessageTaker } from '../messaging/message-taker.js';
import type { KnownEnvelope } from '../messaging/message.js';
import type { ClaimedFile, Maildir } from './maildir.js';
import { readMessageFile, readVolumeMessage, type VolumeMessage } from './volume-message.js';
import type { RefusalKey } from './waiting-files.js';

/** Refusals that pass: the message keeps its place. */
const PASSING = new Set<string>(['inbox_full', 'no_handler', 'client_closed']);

/** Lines of replies, one for each: those who wait for one have room for it where handlers have none. */
const REPLY_LINE = '\0reply\0';
const STREAM_LINE = '\0stream\0';
const UNREADABLE: RefusalKey = 'unreadable';

/** `gone`: another consumer has it. `taken`: it left `new/`. Else it was refused, and is in its place again. */
export type Offer = 'gone' | 'taken' | { readonly key: RefusalKey; readonly isFull: boolean };

export interface VolumeHandOverParts {
  readonly maildir: Maildir;
  readonly claimant: string;
  readonly taker: MessageTaker;
  readonly maxMessageBytes: number;
  /** The taker had it in its hands, and gave it back. */
  readonly onGivenBack: (name: string, key: RefusalKey) => void;
  /** Nothing is claimed any more. */
  readonly onFree: () => void;
  readonly onTrouble: (error: unknown) => void;
}

/** Claims files, offers the messages in them to the taker, and settles with the directory what became of them. */
export class VolumeHandOver {
  readonly #parts: VolumeHandOverParts;
  /** From the claim until the file is where it belongs. */
  readonly #held = new Set<ClaimedFile>();
  /** What the file system did not do when it was asked. */
  readonly #owed = new Map<ClaimedFile, () => Promise<void>>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: VolumeHandOverParts) {
    this.#parts = parts;
  }

  get hasClaims(): boolean {
    return this.#held.size > 0;
  }

  /**
   * Returns with the taker's word.
   * @param mustWait tells of a kind of message whether others of it wait already
   * @throws what the file system says, where nothing could be claimed
   */
  offer(name: string, mustWait: (key: RefusalKey) => boolean): Offer {
    const { maildir, claimant, taker } = this.#parts;
    const claimed = maildir.claim(name, claimant);
    if (claimed === undefined) return 'gone';
    this.#held.add(claimed);
    let message: VolumeMessage;
    try {
      message = this.#read(claimed);
    } catch (error) {
      if (!isMembraneError(error)) return this.#refuse(claimed, UNREADABLE, error);
      this.#settle(claimed, () => maildir.bury(claimed, error));
      return 'taken';
    }
    const { envelope, sizeBytes } = message;
    const key = keyOf(envelope);
    if (mustWait(key)) return this.#refuse(claimed, key);
    const refusal = taker.take(envelope, { sizeBytes, isKept: true }, (result) => {
      this.#onDone(claimed, key, result);
    });
    if (refusal === undefined) return 'taken';
    if (PASSING.has(refusal.code))
      return { ...this.#refuse(claimed, key), isFull: refusal.code !== 'no_handler' };
    this.#settle(claimed, () => maildir.bury(claimed, refusal));
    return 'taken';
  }

  /** Tries again what the file system refused. Rejects with what it says now. */
  async settleOwed(): Promise<void> {
    for (const [claimed, work] of this.#owed) {
      await work();
      this.#owed.delete(claimed);
      this.#release(claimed);
    }
  }

  /** Resolves when the file system was asked for everything that is settled so far. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #read({ name, path }: ClaimedFile): VolumeMessage {
    return readVolumeMessage(name, readMessageFile(path, this.#parts.maxMessageBytes), Date.now());
  }

  #onDone(claimed: ClaimedFile, key: RefusalKey, result: HandlingResult): void {
    const { maildir, onGivenBack } = this.#parts;
    if (result.outcome !== 'failed') this.#settle(claimed, () => maildir.remove(claimed));
    else if (PASSING.has(result.error.code)) {
      onGivenBack(claimed.name, key);
      this.#giveBack(claimed);
    } else this.#settle(claimed, () => maildir.bury(claimed, result.error));
  }

  #refuse(claimed: ClaimedFile, key: RefusalKey, trouble?: unknown): { key: RefusalKey; isFull: boolean } {
    this.#giveBack(claimed);
    if (trouble !== undefined && !isMissing(trouble)) this.#parts.onTrouble(trouble);
    return { key, isFull: false };
  }

  #giveBack(claimed: ClaimedFile): void {
    const { maildir, onTrouble } = this.#parts;
    try {
      maildir.giveBack(claimed);
      this.#release(claimed);
    } catch (error) {
      onTrouble(error);
      this.#owed.set(claimed, () => {
        maildir.giveBack(claimed);
        return Promise.resolve();
      });
    }
  }

  #settle(claimed: ClaimedFile, work: () => Promise<void>): void {
    const done = work().then(
      () => {
        this.#release(claimed);
      },
      (error: unknown) => {
        this.#owed.set(claimed, work);
        this.#parts.onTrouble(error);
      },
    );
    this.#underWay.add(done);
    void done.then(() => this.#underWay.delete(done));
  }

  #release(claimed: ClaimedFile): void {
    this.#held.delete(claimed);
    if (this.#held.size === 0) this.#parts.onFree();
  }
}

/** True for lines that a full taker may have room for: of replies, and of streams, where others wait for the next one. */
export function isAwaitedLine(key: RefusalKey): boolean {
  return key.startsWith(REPLY_LINE) || key.startsWith(STREAM_LINE);
}

/**
 * Handlers are chosen by type and stream: where one message finds none, no other of its kind does. A stream is one of
 * its sender: where one of a sender finds no room, one of another may, for which others wait.
 */
function keyOf({ type, stream, session, correlation_id: correlationId }: KnownEnvelope): RefusalKey {
  if (correlationId != null) return `${REPLY_LINE}${correlationId}`;
  return stream == null ? (type ?? '') : `${STREAM_LINE}${type ?? ''}\0${stream}\0${session ?? ''}`;
}
