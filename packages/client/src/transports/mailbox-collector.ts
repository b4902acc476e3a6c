import { isMembraneError, messageKey, type MailboxItem, type MembraneError } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import { backoffMs, MAX_BACKOFF_MS } from '../backoff.js';
import { systemClock, type Clock } from '../clock.js';
import type { KnownEnvelope } from '../messaging/message.js';
import type { HandlingResult, MessageTaker } from '../messaging/message-taker.js';
import type { RegistryApi } from '../registry-api.js';
import { toMembraneError } from '../to-membrane-error.js';
import { isLeaseFault, MailboxAcks, type AckFailure } from './mailbox-acks.js';
import { MailboxProgress } from './mailbox-progress.js';
import { Waiter } from './waiter.js';

const DEFAULT_WAIT_MS = 60_000;

/** Messages by one call at most: all of them are in memory at once. */
const MAX_BATCH = 100;

/** How long a message stays in this hand while the inbox is full: less than the registry hides it (30 s). */
const HOLD_MS = 25_000;

/** Before the next try to hand over to a full inbox, which may have room by now, but not enough. */
const FULL_RETRY_MS = 100;

/** Who is told to have no lease asks so often nevertheless. */
const PAUSED_RETRY_MS = 30_000;

/** An answer without messages that comes sooner did not wait: the next call has to. */
const TOO_SOON_MS = 500;

const MAX_FINISHED = 10_000;
const FINISHED_TTL_MS = 120_000;

/** The registry hides a message for so long: then there is nothing to give back. */
const HIDDEN_MS = 30_000;
const MAX_UNTAKEN = 1_000;

export interface MailboxCollectorParts {
  /** Of a connection that lets the process end. */
  readonly api: Pick<RegistryApi, 'collectMessages' | 'ackMessages'>;
  /** Whose mailbox, and which instance collects. */
  readonly id: string;
  readonly instanceId: string;
  readonly leaseToken: string;
  readonly taker: MessageTaker;
  /** How long the registry waits for a message before it answers without; 60,000 unless given, less some jitter. */
  readonly waitMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * The receiving end of a mailbox: collects what waits and what comes, hands it over in the order of the mailbox, and
 * acknowledges it when it is done. What cannot be taken now comes again by itself, since nobody acknowledges it; it is
 * given back at the end, and not before, or it would come again at once.
 */
export class MailboxCollector {
  readonly #parts: MailboxCollectorParts;
  readonly #random: () => number;
  readonly #clock: Clock;
  readonly #acks: MailboxAcks;
  readonly #progress: MailboxProgress;
  readonly #waiter: Waiter;
  /** By its key, the newest receipt of each message that the taker has. */
  readonly #underWay = new Map<string, string>();
  /** By their keys, what was done with messages of which the registry may not know yet. */
  readonly #finished = new LRUCache<string, { failure: AckFailure }>({
    max: MAX_FINISHED,
    ttl: FINISHED_TTL_MS,
  });
  /** By their keys, the receipts of messages that nobody here could take. */
  readonly #untaken = new LRUCache<string, string>({ max: MAX_UNTAKEN, ttl: HIDDEN_MS });
  #run: AbortController | undefined;
  #loop: Promise<void> = Promise.resolve();
  #failures = 0;
  #isPaused = false;
  #resumes = 0;

  constructor(parts: MailboxCollectorParts) {
    const { clock = systemClock, random = Math.random } = parts;
    this.#parts = parts;
    this.#random = random;
    this.#clock = clock;
    this.#waiter = new Waiter(clock);
    this.#progress = new MailboxProgress({ ...parts, clock, receipts: () => this.#underWay.values() });
    this.#acks = new MailboxAcks({
      ...parts,
      clock,
      random,
      onAcked: (key, isVoid) => {
        if (!isVoid) this.#finished.delete(key);
      },
    });
  }

  /** Where it runs already, nothing. */
  start(): void {
    if (this.#run !== undefined) return;
    const run = new AbortController();
    this.#run = run;
    this.#loop = this.#loop.then(() => this.#collect(run.signal));
  }

  /**
   * Collects no more, sends the acknowledgements that are due, and gives back what nobody could take. The
   * acknowledgements of messages that are being handled follow.
   */
  async stop(): Promise<void> {
    this.#run?.abort();
    this.#run = undefined;
    this.#waiter.wake();
    await this.#loop;
    await this.#acks.flush();
    const untaken = [...this.#untaken.values()];
    this.#untaken.clear();
    await this.#acks.release(untaken);
  }

  /** There is a lease again: to be told after each registration. */
  resume(): void {
    this.#resumes += 1;
    this.#isPaused = false;
    this.#acks.resume();
    this.#progress.resume();
    this.#waiter.wake();
  }

  /** Never rejects. */
  async #collect(signal: AbortSignal): Promise<void> {
    const { taker } = this.#parts;
    const stopListening = taker.onWindowChange(() => this.#waiter.wake());
    try {
      while (!signal.aborted) {
        if (this.#isPaused) {
          const resumes = this.#resumes;
          await this.#waiter.until(() => resumes !== this.#resumes, { signal, maxMs: PAUSED_RETRY_MS });
          if (resumes === this.#resumes) this.resume();
        } else if (taker.window <= 0) {
          await this.#waiter.until(() => taker.window > 0, { signal });
        } else {
          await this.#collectOnce(signal);
        }
      }
    } finally {
      stopListening();
    }
  }

  async #collectOnce(signal: AbortSignal): Promise<void> {
    const resumes = this.#resumes;
    const startedAtMs = this.#clock.monotonicMs();
    let items: MailboxItem[];
    try {
      items = await this.#poll(signal);
    } catch (error) {
      // Stopped, or nobody is there to take anything.
      if (!isMembraneError(error)) return;
      await this.#afterFailure(error, resumes, signal);
      return;
    }
    const tookMs = this.#clock.monotonicMs() - startedAtMs;
    if (items.length === 0 && tookMs < TOO_SOON_MS) {
      await this.#backOff(undefined, signal);
    } else {
      this.#failures = 0;
      await this.#handOver(items, signal);
    }
  }

  /** One call. Given up where nobody takes messages any more, so that none is taken out in vain. */
  async #poll(signal: AbortSignal): Promise<MailboxItem[]> {
    const { api, id, instanceId, leaseToken, taker, waitMs = DEFAULT_WAIT_MS } = this.#parts;
    const limit = new AbortController();
    const abort = (): void => limit.abort();
    const stopListening = taker.onWindowChange(() => {
      if (taker.window <= 0) abort();
    });
    signal.addEventListener('abort', abort);
    try {
      return await api.collectMessages(
        {
          id,
          instanceId,
          leaseToken,
          // Those that lost a registry together do not ask it together for ever.
          waitMs: Math.round(waitMs * (1 - 0.25 * this.#random())),
          max: Math.min(taker.window, MAX_BATCH),
        },
        { signal: limit.signal },
      );
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      throw toMembraneError(error);
    } finally {
      signal.removeEventListener('abort', abort);
      stopListening();
    }
  }

  async #afterFailure(error: MembraneError, resumes: number, signal: AbortSignal): Promise<void> {
    if (error.code === 'client_closed') {
      await this.#waiter.until(() => false, { signal });
    } else if (isLeaseFault(error) && resumes === this.#resumes) {
      this.#isPaused = true;
    } else {
      await this.#backOff(error.details.retryAfterMs, signal);
    }
  }

  async #backOff(retryAfterMs: number | undefined, signal: AbortSignal): Promise<void> {
    this.#failures += 1;
    const input = { failures: this.#failures, intervalMs: MAX_BACKOFF_MS, retryAfterMs };
    const resumes = this.#resumes;
    await this.#waiter.until(() => this.#resumes !== resumes, {
      signal,
      maxMs: backoffMs(input, this.#random),
    });
  }

  /** Until all are taken, or those left come again, in their order. */
  async #handOver(items: readonly MailboxItem[], signal: AbortSignal): Promise<void> {
    const endMs = this.#clock.monotonicMs() + HOLD_MS;
    for (const item of items) this.#untaken.set(messageKey(toKnown(item)), item.receipt);
    for (let left = this.#offerAll(items); left.length > 0; left = this.#offerAll(left)) {
      await this.#waiter.until(() => false, { signal, maxMs: FULL_RETRY_MS });
      const maxMs = endMs - this.#clock.monotonicMs();
      await this.#waiter.until(() => this.#parts.taker.window > 0, { signal, maxMs });
      if (signal.aborted || this.#clock.monotonicMs() >= endMs) return;
    }
  }

  /**
   * One after the other: who comes later must not pass one that waits for room, but for those that others may wait for.
   * @returns those for which there was no room.
   */
  #offerAll(items: readonly MailboxItem[]): readonly MailboxItem[] {
    const left: MailboxItem[] = [];
    for (const item of items) {
      const mustWait = left.length > 0 && !isAwaited(item);
      if (mustWait || !this.#handOverOne(item)) left.push(item);
    }
    return left;
  }

  /** False where the inbox is full. */
  #handOverOne(item: MailboxItem): boolean {
    const { receipt } = item;
    const known = toKnown(item);
    const key = messageKey(known);
    this.#untaken.delete(key);
    const finished = this.#finished.get(key);
    if (this.#underWay.has(key)) {
      this.#underWay.set(key, receipt);
    } else if (finished !== undefined) {
      this.#acks.add(key, receipt, finished.failure);
    } else {
      return this.#offer(known, key, receipt);
    }
    return true;
  }

  /** False where the inbox is full. */
  #offer(envelope: KnownEnvelope, key: string, receipt: string): boolean {
    const sizeBytes = Buffer.byteLength(JSON.stringify(envelope));
    this.#underWay.set(key, receipt);
    const refusal = this.#parts.taker.take(envelope, { sizeBytes, isKept: true }, (result) => {
      this.#finish(key, result);
    });
    if (refusal === undefined) {
      this.#progress.start();
      return true;
    }
    this.#underWay.delete(key);
    if (isForNow(refusal)) this.#untaken.set(key, receipt);
    else this.#acks.add(key, receipt, refusal);
    return refusal.code !== 'inbox_full';
  }

  #finish(key: string, result: HandlingResult): void {
    const receipt = this.#underWay.get(key);
    if (receipt === undefined) return;
    this.#underWay.delete(key);
    const failure = result.outcome === 'failed' ? result.error : undefined;
    if (failure !== undefined && isForNow(failure)) {
      this.#untaken.set(key, receipt);
      return;
    }
    this.#finished.set(key, { failure });
    this.#acks.add(key, receipt, failure);
  }
}

/** A registry gives each an id. */
function toKnown({ receipt, envelope }: MailboxItem): KnownEnvelope {
  return { ...envelope, id: envelope.id ?? receipt };
}

/** Replies, and messages of a stream, of which the taker keeps the order itself: it may have room for these alone. */
function isAwaited({ envelope }: MailboxItem): boolean {
  return envelope.correlation_id != null || (envelope.stream != null && envelope.session != null);
}

/** True where the same message can be taken later, here or by another instance. */
function isForNow({ code }: MembraneError): boolean {
  return ['inbox_full', 'no_handler', 'client_closed'].includes(code);
}
