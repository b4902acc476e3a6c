import { LIMITS } from '@membrane/protocol';
import type { RegistryApi } from '../registry-api.js';
import { parseReason } from '../transports/mailbox-acks.js';
import type { DeadLetterChange, DeadLetterInfo, DeadLetterPlace } from './dead-letters.js';

/** The dead letters of a membrane's mailbox at the registry. */
export class MailboxDeadLetters implements DeadLetterPlace {
  readonly place = 'mailbox';
  readonly #api: Pick<RegistryApi, 'deadLetters' | 'changeDeadLetters'>;
  readonly #id: string;

  /** @param id whose mailbox */
  constructor(api: Pick<RegistryApi, 'deadLetters' | 'changeDeadLetters'>, id: string) {
    this.#api = api;
    this.#id = id;
  }

  async list({ limit, signal }: { limit: number; signal?: AbortSignal | undefined }) {
    const letters = await this.#api.deadLetters({ id: this.#id, limit }, { signal });
    return letters.map(({ messageId, diedAt, code, reason, envelope }): DeadLetterInfo => ({
      place: this.place,
      messageId,
      // A registry has one code for all that a receiver says.
      ...((code === 'handler_failed' ? parseReason(reason) : undefined) ?? { code, reason }),
      diedAtMs: Math.round(diedAt * 1_000),
      envelope,
    }));
  }

  /** @throws MembraneError `mailbox_full`, and what else a registry says. */
  requeue(change: DeadLetterChange = {}): Promise<number> {
    return this.#change('requeue', change);
  }

  discard(change: DeadLetterChange = {}): Promise<number> {
    return this.#change('discard', change);
  }

  async #change(action: 'requeue' | 'discard', { messageIds, signal }: DeadLetterChange): Promise<number> {
    if (messageIds === undefined) {
      return (await this.#api.changeDeadLetters({ id: this.#id, action }, { signal })).changed;
    }
    let changed = 0;
    for (let start = 0; start < messageIds.length; start += LIMITS.maxMailboxBatch) {
      const batch = messageIds.slice(start, start + LIMITS.maxMailboxBatch);
      const answer = await this.#api.changeDeadLetters(
        { id: this.#id, action, messageIds: batch },
        { signal },
      );
      changed += answer.changed;
    }
    return changed;
  }
}
