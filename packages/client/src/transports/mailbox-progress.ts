import { LIMITS } from '@membrane/protocol';
import type { Clock, Timer } from '../clock.js';
import type { RegistryApi } from '../registry-api.js';
import { toMembraneError } from '../to-membrane-error.js';

/** A third of the time for which the registry hides a message (30 s): two calls in a row may fail. */
const INTERVAL_MS = 10_000;

export interface MailboxProgressParts {
  readonly api: Pick<RegistryApi, 'ackMessages'>;
  readonly id: string;
  readonly leaseToken: string;
  readonly clock: Clock;
  /** By which receipts messages are under way. */
  readonly receipts: () => Iterable<string>;
}

/** Tells the registry again and again what is in progress, lest it hands that out to another instance. */
export class MailboxProgress {
  readonly #parts: MailboxProgressParts;
  #timer: Timer | undefined;
  #isSending = false;
  #isUnderstood = true;

  constructor(parts: MailboxProgressParts) {
    this.#parts = parts;
  }

  /** Something is under way. Ends by itself when nothing is. */
  start(): void {
    if (this.#timer !== undefined || this.#isSending || !this.#isUnderstood) return;
    this.#timer = this.#parts.clock.setTimer(() => {
      this.#timer = undefined;
      void this.#tell();
    }, INTERVAL_MS);
  }

  /** It may be another registry now. */
  resume(): void {
    this.#isUnderstood = true;
    this.start();
  }

  /** Never rejects: what the registry does not hear it is told the next time, as long as it hides the messages. */
  async #tell(): Promise<void> {
    const { api, id, leaseToken, receipts } = this.#parts;
    const acks = [...receipts()].map((receipt) => ({ receipt, outcome: 'in_progress' as const }));
    if (acks.length === 0) return;
    this.#isSending = true;
    try {
      for (let start = 0; start < acks.length; start += LIMITS.maxMailboxBatch) {
        const batch = acks.slice(start, start + LIMITS.maxMailboxBatch);
        await api.ackMessages({ id, leaseToken, acks: batch });
      }
    } catch (error) {
      const { code } = toMembraneError(error);
      // Nobody is there to hear it; or it is an older registry, which knows no such outcome.
      if (code === 'client_closed') return;
      this.#isUnderstood = code !== 'invalid_request';
    } finally {
      this.#isSending = false;
    }
    this.start();
  }
}
