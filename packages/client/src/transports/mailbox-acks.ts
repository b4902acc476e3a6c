import { isErrorCode, LIMITS, type ErrorCode, type MembraneError } from '@membrane/protocol';
import { backoffMs, MAX_BACKOFF_MS } from '../backoff.js';
import type { Clock, Timer } from '../clock.js';
import type { RegistryApi } from '../registry-api.js';
import { toMembraneError } from '../to-membrane-error.js';

/** How long a finished message waits for others, to be acknowledged by one call. */
const GATHER_MS = 5;

const MAX_REASON_LENGTH = 2_048;

/** Of one call, by its reasons mainly: a registry takes more, but not without end. */
const MAX_CALL_BYTES = 1024 * 1024;

/** How long giving back is tried: without it the messages come back by themselves, only later. */
const RELEASE_TIMEOUT_MS = 1_000;

/** Undefined: its handler returned. Else why it is to be a dead letter. */
export type AckFailure = MembraneError | undefined;

interface Ack {
  /** Of `messageKey`. */
  readonly messageKey: string;
  readonly receipt: string;
  readonly failure: AckFailure;
}

export interface MailboxAcksParts {
  readonly api: Pick<RegistryApi, 'ackMessages'>;
  readonly id: string;
  readonly leaseToken: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** The registry took note, or knows that receipt no more: then it hands the message out again, unless it is gone. */
  readonly onAcked: (messageKey: string, isVoid: boolean) => void;
}

/**
 * Tells the registry what became of messages, many by one call, until it has heard it. Where there is no lease, it
 * waits for `resume()`.
 */
export class MailboxAcks {
  readonly #parts: MailboxAcksParts;
  readonly #waiting: Ack[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #failures = 0;
  #isPaused = false;
  #resumes = 0;

  constructor(parts: MailboxAcksParts) {
    this.#parts = parts;
  }

  add(messageKey: string, receipt: string, failure: AckFailure): void {
    this.#waiting.push({ messageKey, receipt, failure });
    if (this.#waiting.length >= LIMITS.maxMailboxBatch && this.#failures === 0) void this.#start();
    else this.#schedule(GATHER_MS);
  }

  /** Once there is a lease again. */
  resume(): void {
    this.#resumes += 1;
    this.#isPaused = false;
    this.#failures = 0;
    this.#schedule(0);
  }

  /** Sends what waits, as long as the registry takes it; the rest waits on. */
  async flush(): Promise<void> {
    await this.#sending;
    while (this.#waiting.length > 0 && !this.#isPaused) {
      await this.#start();
      if (this.#failures > 0) return;
    }
  }

  /**
   * Gives messages back, so that others need not wait for them. Tried once, by calls of its own: a registry that knows
   * no such outcome refuses the whole call.
   */
  async release(receipts: readonly string[]): Promise<void> {
    const { api, id, leaseToken } = this.#parts;
    const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS);
    try {
      for (let start = 0; start < receipts.length; start += LIMITS.maxMailboxBatch) {
        const batch = receipts.slice(start, start + LIMITS.maxMailboxBatch);
        const acks = batch.map((receipt) => ({ receipt, outcome: 'released' as const }));
        await api.ackMessages({ id, leaseToken, acks }, { signal });
      }
    } catch {
      // Then they come back when their time is over.
    }
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#isPaused || this.#waiting.length === 0) return;
    if (this.#sending !== undefined) return;
    this.#timer = this.#parts.clock.setTimer(() => {
      this.#timer = undefined;
      void this.#start();
    }, delayMs);
  }

  /** One call at a time. Never rejects. */
  #start(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
      this.#schedule(this.#failures === 0 ? 0 : this.#backoffMs());
    });
    return this.#sending;
  }

  #backoffMs(): number {
    const input = { failures: this.#failures, intervalMs: MAX_BACKOFF_MS, retryAfterMs: undefined };
    return backoffMs(input, this.#parts.random);
  }

  #takeBatch(): Ack[] {
    let bytes = 0;
    let count = 0;
    for (const ack of this.#waiting) {
      bytes += Buffer.byteLength(JSON.stringify(toCallAck(ack)));
      if (count === LIMITS.maxMailboxBatch || (count > 0 && bytes > MAX_CALL_BYTES)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #send(): Promise<void> {
    const { api, id, leaseToken, onAcked } = this.#parts;
    const resumes = this.#resumes;
    const batch = this.#takeBatch();
    if (batch.length === 0) return;
    try {
      const { unknown } = await api.ackMessages({ id, leaseToken, acks: batch.map(toCallAck) });
      this.#failures = 0;
      const isVoid = new Set(unknown);
      for (const { messageKey, receipt } of batch) onAcked(messageKey, isVoid.has(receipt));
    } catch (thrown) {
      const error = toMembraneError(thrown);
      this.#failures += 1;
      if (isLeaseFault(error)) this.#isPaused = resumes === this.#resumes;
      // Sent again it would be refused again: the registry hands the messages out once more.
      else if (!error.retryable) return;
      this.#waiting.unshift(...batch);
    }
  }
}

/** True where a registry says that who asks has no lease there (any more). */
export function isLeaseFault({ code }: MembraneError): boolean {
  return ['not_registered', 'superseded', 'lease_token_required', 'removed'].includes(code);
}

function toCallAck(ack: Ack) {
  const { receipt } = ack;
  const reason = reasonOf(ack);
  return reason === undefined
    ? { receipt, outcome: 'processed' as const }
    : { receipt, outcome: 'failed' as const, reason };
}

/** The wire has one text for the code and the words. */
function reasonOf({ failure }: Ack): string | undefined {
  return failure && `${failure.code}: ${failure.message}`.slice(0, MAX_REASON_LENGTH);
}

/** What `reasonOf` made, in its parts; undefined for what another client wrote. */
export function parseReason(text: string): { code: ErrorCode; reason: string } | undefined {
  const [, code, reason] = /^([a-z_]+): (.*)$/s.exec(text) ?? [];
  return isErrorCode(code) && reason !== undefined ? { code, reason } : undefined;
}
