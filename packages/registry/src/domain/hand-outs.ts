import { LIMITS } from '@membrane/protocol';
import type { Mail, MailboxView } from './mail.js';

/** Who collects: two that are equal in all are one. */
export interface Collector {
  /** Undefined where it did not say which instance it is. */
  readonly instanceId: string | undefined;
  readonly tokenHash: string | null;
}

export interface CollectRequest {
  readonly collector: Collector;
  /** Of the registration by which it collects. */
  readonly incarnation: number | undefined;
  /** Whether a registration of the box's owner is there still. */
  readonly isLive: (incarnation: number) => boolean;
  /** Whether a message that was meant for this instance may go to the collector. */
  readonly mayHave: (instanceId: string | undefined) => boolean;
  readonly max: number;
  /** Of the texts together; one message may pass it. */
  readonly maxBytes: number;
  /** Wall clock, for deadlines. */
  readonly wallMs: number;
  /** Any clock that goes on evenly: for hiding. */
  readonly nowMs: number;
}

export interface HandedMail {
  readonly receipt: string;
  readonly mail: Mail;
  /** Above 1 where it may have arrived before. */
  readonly attempt: number;
  readonly ttlMs: number;
}

export interface Collected {
  readonly items: readonly HandedMail[];
  /** When the next hidden message comes back; infinite where none is hidden. */
  readonly returnsAtMs: number;
  /** Those that are handed out no more: too many were lost while they had them. */
  readonly exhausted: readonly Mail[];
}

interface HandOut {
  readonly mail: Mail;
  readonly receipt: string;
  readonly collector: Collector;
  hiddenUntilMs: number;
  readonly times: number;
  /** Undefined where nobody can be lost with it any more. */
  incarnation: number | undefined;
  /** Registrations that ended while they had it, without a word on it. */
  readonly losses: number;
}

/**
 * Who has which message just now. Kept in memory only: after a restart all are handed out again. A receipt is good
 * until its message goes, or is handed out anew.
 */
export class HandOutTable {
  readonly #hideMs: number;
  readonly #receiptPrefix: string;
  readonly #wasLoaded: (mail: Mail) => boolean;
  readonly #byMail = new Map<Mail, HandOut>();
  readonly #byReceipt = new Map<string, HandOut>();
  #receipts = 0;

  /**
   * `receiptPrefix` tells the receipts of this run from those of another; `wasLoaded`: a message may have been handed
   * out before this run.
   */
  constructor(options: {
    readonly hideMs: number;
    readonly receiptPrefix: string;
    readonly wasLoaded: (mail: Mail) => boolean;
  }) {
    this.#hideMs = options.hideMs;
    this.#receiptPrefix = options.receiptPrefix;
    this.#wasLoaded = options.wasLoaded;
  }

  /**
   * Hands out what is there for a collector, oldest first. Of a stream it gets nothing while somebody else has an
   * earlier message.
   */
  collect(box: MailboxView | undefined, request: CollectRequest): Collected {
    const { collector, nowMs, wallMs, max, maxBytes, mayHave, isLive } = request;
    const chosen: Mail[] = [];
    const exhausted: Mail[] = [];
    const heldStreams = new Set<string>();
    let bytes = 0;
    let returnsAtMs = Number.POSITIVE_INFINITY;
    for (const mail of box?.waiting.values() ?? []) {
      const held = this.#findHolder(mail, collector, nowMs);
      if (held !== undefined) {
        returnsAtMs = Math.min(returnsAtMs, held.hiddenUntilMs);
        if (mail.streamKey !== undefined && !isSame(held.collector, collector)) {
          heldStreams.add(mail.streamKey);
        }
        continue;
      }
      if (mail.deadlineMs <= wallMs) continue;
      if (this.#lossesOf(mail, isLive) >= LIMITS.maxLostConsumers) {
        exhausted.push(mail);
        continue;
      }
      if (!mayHave(mail.instanceId)) continue;
      if (mail.streamKey !== undefined && heldStreams.has(mail.streamKey)) continue;
      if (chosen.length > 0 && bytes + mail.text.length > maxBytes) break;
      chosen.push(mail);
      bytes += mail.text.length;
      if (chosen.length === max) break;
    }
    return { items: chosen.map((mail) => this.#handOut(mail, request)), returnsAtMs, exhausted };
  }

  /** The message of a receipt, or undefined where it is void. */
  find(receipt: string): Mail | undefined {
    return this.#byReceipt.get(receipt)?.mail;
  }

  /** Whoever has it has it still; one that was given back is nobody's. */
  extend(mail: Mail, nowMs: number): void {
    const handOut = this.#byMail.get(mail);
    if (handOut === undefined || handOut.hiddenUntilMs === Number.NEGATIVE_INFINITY) return;
    handOut.hiddenUntilMs = nowMs + this.#hideMs;
  }

  /** Nobody got them, or they were given back: they are there for others at once. */
  release(items: readonly Pick<HandedMail, 'receipt' | 'mail'>[]): void {
    for (const { receipt, mail } of items) {
      const handOut = this.#byMail.get(mail);
      if (handOut?.receipt !== receipt) continue;
      handOut.hiddenUntilMs = Number.NEGATIVE_INFINITY;
      handOut.incarnation = undefined;
    }
  }

  /** It went, or died. */
  forget(mail: Mail): void {
    const handOut = this.#byMail.get(mail);
    if (handOut === undefined) return;
    this.#byMail.delete(mail);
    this.#byReceipt.delete(handOut.receipt);
  }

  /** How long somebody has it still; 0 where nobody has. */
  hiddenForMs(mail: Mail, nowMs: number): number {
    return Math.max((this.#byMail.get(mail)?.hiddenUntilMs ?? nowMs) - nowMs, 0);
  }

  #lossesOf(mail: Mail, isLive: (incarnation: number) => boolean): number {
    const handOut = this.#byMail.get(mail);
    if (handOut === undefined) return 0;
    const { incarnation, losses } = handOut;
    return incarnation === undefined || isLive(incarnation) ? losses : losses + 1;
  }

  /** Who has it, unless that is an earlier run of the very instance that asks: that one is gone. */
  #findHolder(mail: Mail, { instanceId, tokenHash }: Collector, nowMs: number): HandOut | undefined {
    const handOut = this.#byMail.get(mail);
    if (handOut === undefined || handOut.hiddenUntilMs <= nowMs) return undefined;
    const { collector } = handOut;
    const isGone =
      instanceId !== undefined && collector.instanceId === instanceId && collector.tokenHash !== tokenHash;
    return isGone ? undefined : handOut;
  }

  #handOut(mail: Mail, { collector, incarnation, isLive, nowMs, wallMs }: CollectRequest): HandedMail {
    const before = this.#byMail.get(mail);
    if (before !== undefined) this.#byReceipt.delete(before.receipt);
    this.#receipts += 1;
    const handOut: HandOut = {
      mail,
      receipt: `${this.#receiptPrefix}.${this.#receipts}`,
      collector,
      hiddenUntilMs: nowMs + this.#hideMs,
      times: (before?.times ?? (this.#wasLoaded(mail) ? 1 : 0)) + 1,
      incarnation,
      losses: this.#lossesOf(mail, isLive),
    };
    this.#byMail.set(mail, handOut);
    this.#byReceipt.set(handOut.receipt, handOut);
    return {
      receipt: handOut.receipt,
      mail,
      attempt: mail.attempt + handOut.times - 1,
      ttlMs: Math.max(Math.round(mail.deadlineMs - wallMs), 1),
    };
  }
}

function isSame(one: Collector, other: Collector): boolean {
  return one.instanceId === other.instanceId && one.tokenHash === other.tokenHash;
}
