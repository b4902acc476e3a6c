import type { DeadLetterChange, DeadLetterInfo, DeadLetterPlace } from './dead-letters.js';
import type { Outbox } from './outbox.js';
import { parseFileName, type OutboxEntry } from './outbox-entry.js';

/** How long a dead letter has left that is sent once more: as those of a mailbox. */
const REQUEUED_TTL_MS = 3_600_000;

/** The dead letters of an outbox, in the order of sending. */
export class OutboxDeadLetters implements DeadLetterPlace {
  readonly place = 'outbox';
  readonly #outbox: Outbox;
  readonly #send: (entry: OutboxEntry) => void;

  /** @param send is handed each message that is to be sent again; by then it waits in the outbox. */
  constructor(outbox: Outbox, send: (entry: OutboxEntry) => void) {
    this.#outbox = outbox;
    this.#send = send;
  }

  /** @throws MembraneError `store_unavailable` */
  async list({ limit, signal }: { limit: number; signal?: AbortSignal | undefined }) {
    const letters: DeadLetterInfo[] = [];
    for (const name of this.#outbox.dead.names.slice(0, limit)) {
      signal?.throwIfAborted();
      const letter = await this.#outbox.dead.read(name);
      if (letter !== undefined) letters.push(letter.info);
    }
    return letters;
  }

  /**
   * Those that are broken stay.
   * @throws MembraneError `mailbox_full` where they do not all fit into the outbox: those before are under way; and
   * as `Outbox.put`.
   */
  async requeue({ messageIds, signal }: DeadLetterChange = {}): Promise<number> {
    let count = 0;
    for (const name of this.#choose(messageIds)) {
      signal?.throwIfAborted();
      const letter = await this.#outbox.dead.read(name);
      if (letter?.entry === undefined) continue;
      const entry = revive(letter.entry);
      await this.#outbox.put(entry);
      await this.#outbox.dead.remove(name);
      this.#send(entry);
      count += 1;
    }
    return count;
  }

  async discard({ messageIds, signal }: DeadLetterChange = {}): Promise<number> {
    let count = 0;
    for (const name of this.#choose(messageIds)) {
      signal?.throwIfAborted();
      if (await this.#outbox.dead.remove(name)) count += 1;
    }
    return count;
  }

  #choose(messageIds: readonly string[] | undefined): readonly string[] {
    const { names } = this.#outbox.dead;
    if (messageIds === undefined) return names;
    const chosen = new Set(messageIds);
    return names.filter((name) => chosen.has(parseFileName(name)?.messageId ?? name));
  }
}

/**
 * Its place among the messages of its session has passed: with its sequence a receiver that went on without it would
 * take it for a straggler, or for one that it has handled.
 */
function revive({ envelope, options }: OutboxEntry): OutboxEntry {
  const again = { ...envelope, attempt: (envelope.attempt ?? 1) + 1 };
  delete again.session;
  delete again.sequence;
  delete again.floor;
  return { envelope: again, deadlineAtMs: Date.now() + REQUEUED_TTL_MS, options };
}
