import type { Clock, Timer } from '../clock.js';
import { MembraneError } from '@membrane/protocol';
import type { Dial } from './address-policy.js';
import { toEnvelopeJson } from './outgoing-json.js';
import { notDelivered, type PendingSend } from './pending-send.js';
import { StreamLink, type LinkEnd } from './stream-link.js';
import type { StreamTransportLimits } from './stream-limits.js';

/** The wait before a dropped connection is tried again is a random part of this, doubled at each try. */
const RECONNECT_BASE_MS = 50;
/** How long a receiver that said it is full is left alone, where it gave no time itself. */
const DEFAULT_FULL_MS = 200;
const MESSAGE_TOO_BIG = 1009;

export interface PeerConnectionOptions {
  readonly address: string;
  /** Resolves the address, and refuses one that may not be used. */
  readonly findDial: () => Promise<Dial> | Dial;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: StreamTransportLimits;
  /** Whoever answers there speaks no WebSocket: the sends go another way. */
  readonly onNoWebSocket: (sends: readonly PendingSend[], reason: string) => void;
  /** Nothing waits for an answer any more. */
  readonly onIdle: () => void;
  /** Asks for a `sweep` at that time. */
  readonly wakeAt: (atMs: number) => void;
}

/**
 * The messages for one address, over one WebSocket at a time. They are written in the order of their sends, no more
 * at once than the receiver's window. Where the connection drops, it is tried again for a short while, and what has no
 * answer yet is written again in the same order.
 */
export class PeerConnection {
  readonly address: string;
  lastUsedMs = 0;
  readonly #options: PeerConnectionOptions;
  readonly #limits: StreamTransportLimits;
  /** Not written, in the order in which they will be. */
  readonly #waiting = new Set<PendingSend>();
  /** Written, in that order, without an answer. */
  readonly #inFlight = new Map<string, PendingSend>();
  #link: StreamLink | undefined;
  #window = 0;
  /** A receiver that is full is asked again after this. */
  #probeAtMs = 0;
  #isConnecting = false;
  /** Whether the present connection got so far that messages were written to it. */
  #wasOpen = false;
  #retryTimer: Timer | undefined;
  #failedTries = 0;
  #giveUpAtMs: number | undefined;

  constructor(options: PeerConnectionOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.address = options.address;
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#inFlight.size === 0;
  }

  /** True while a connection is held, or being made. */
  get holdsConnection(): boolean {
    return this.#link !== undefined || this.#isConnecting;
  }

  send(pending: PendingSend): void {
    if (this.#waiting.size === 0 && this.#hasRoom()) this.#write(pending);
    else this.#waiting.add(pending);
  }

  /** Connects where there is something to send. */
  connect(): void {
    if (this.holdsConnection) return;
    this.#isConnecting = true;
    void this.#dial();
  }

  /** Forgets a send that was aborted. Its answer, should one come, is nobody's. */
  forget(pending: PendingSend): void {
    this.#waiting.delete(pending);
    if (this.#inFlight.get(pending.id) === pending) this.#inFlight.delete(pending.id);
    this.#drain();
    if (this.isIdle) this.#options.onIdle();
  }

  /** Ends those whose time is over. Returns when the next one's is. */
  sweep(nowMs: number): number {
    let nextMs = Infinity;
    const late: PendingSend[] = [];
    const check = (pending: PendingSend): void => {
      const { deadlineAtMs } = pending.message;
      if (deadlineAtMs <= nowMs) late.push(pending);
      else if (deadlineAtMs < nextMs) nextMs = deadlineAtMs;
    };
    this.#waiting.forEach(check);
    this.#inFlight.forEach(check);
    for (const pending of late) {
      pending.reject(notDelivered(this.address, 'no answer before the deadline'));
      this.forget(pending);
    }
    if (this.#waiting.size === 0) return nextMs;
    this.#drain();
    return this.#probeAtMs > nowMs ? Math.min(nextMs, this.#probeAtMs) : nextMs;
  }

  checkAlive(): void {
    if (!this.isIdle) this.#link?.checkAlive();
  }

  /** Writes to an open connection; nothing where there is none. */
  writeSkip(text: string): void {
    if (this.#link?.isOpen === true) this.#link.write(text);
  }

  /** Ends the connection, and with an error the sends that wait. */
  close(error?: MembraneError): void {
    this.#retryTimer?.cancel();
    this.#link?.close();
    this.#link = undefined;
    this.#isConnecting = false;
    if (error !== undefined) this.#failAll(error);
  }

  #hasRoom(): boolean {
    const link = this.#link;
    if (link?.isOpen !== true) return false;
    const { size } = this.#inFlight;
    if (size < this.#window) {
      return size < this.#limits.maxInFlight && link.bufferedBytes <= this.#limits.maxBufferedBytes;
    }
    // Nobody may be under way: one is sent all the same, since the refusal says why.
    return size === 0 && this.#options.clock.monotonicMs() >= this.#probeAtMs;
  }

  #drain(): void {
    while (this.#waiting.size > 0 && this.#hasRoom()) {
      const [pending] = this.#waiting;
      if (pending === undefined) return;
      this.#waiting.delete(pending);
      this.#write(pending);
    }
  }

  #write(pending: PendingSend): void {
    const { clock } = this.#options;
    let text: string;
    try {
      if (this.#inFlight.has(pending.id)) {
        throw new MembraneError(
          'conflict',
          `the message ${pending.id} is under way to ${this.address} already`,
        );
      }
      text = toEnvelopeJson(pending.message, {
        nowMs: clock.monotonicMs(),
        earlierWrites: pending.writes,
        maxMessageBytes: this.#limits.maxMessageBytes,
      });
    } catch (error) {
      pending.reject(error);
      return;
    }
    pending.writes += 1;
    const isAlone = this.#inFlight.size === 0;
    this.#inFlight.set(pending.id, pending);
    if (isAlone) this.#link?.writeNow(`{"m":${text}}`);
    else this.#link?.write(`{"m":${text}}`);
  }

  #take(id: string): PendingSend | undefined {
    const pending = this.#inFlight.get(id);
    if (pending !== undefined) this.#inFlight.delete(id);
    return pending;
  }

  #afterAnswer(): void {
    if (this.#waiting.size > 0) this.#drain();
    if (this.isIdle) this.#options.onIdle();
  }

  async #dial(): Promise<void> {
    const { clock, findDial } = this.#options;
    const connectTimeoutMs = Math.max(
      Math.min(this.#limits.connectTimeoutMs, (this.#giveUpAtMs ?? Infinity) - clock.monotonicMs()),
      1,
    );
    let dial: Dial;
    try {
      dial = await findDial();
    } catch (error) {
      this.#isConnecting = false;
      this.#failAll(error);
      this.#options.onIdle();
      return;
    }
    if (!this.#isConnecting) return;
    this.#isConnecting = false;
    const link: StreamLink = new StreamLink(
      dial,
      {
        onWindow: (size) => {
          this.#window = size;
          this.#wasOpen = true;
          this.#giveUpAtMs = undefined;
          this.#failedTries = 0;
          this.#probeAtMs = 0;
          this.#drain();
        },
        onAccepted: (id) => this.#inFlight.get(id)?.accept(),
        onDone: (id, outcome, reply) => {
          this.#take(id)?.resolve(reply === undefined ? { outcome } : { outcome, reply });
          this.#afterAnswer();
        },
        onRefused: (id, error) => {
          if (error.code === 'inbox_full') {
            this.#probeAtMs = clock.monotonicMs() + (error.details.retryAfterMs ?? DEFAULT_FULL_MS);
            this.#options.wakeAt(this.#probeAtMs);
          }
          this.#take(id)?.reject(error);
          this.#afterAnswer();
        },
        onDrain: () => this.#drain(),
        onEnd: (end) => {
          if (this.#link === link) this.#onEnd(end);
        },
      },
      { clock, connectTimeoutMs },
    );
    this.#link = link;
  }

  #onEnd(end: LinkEnd): void {
    const wasOpen = this.#wasOpen;
    this.#link = undefined;
    this.#wasOpen = false;
    if (end.kind === 'refused') {
      this.#failAll(end.error);
    } else if (end.kind === 'no-web-socket') {
      this.#options.onNoWebSocket(this.#takeAll(), end.reason);
    } else {
      this.#recover(end, wasOpen);
    }
    if (this.isIdle) this.#options.onIdle();
  }

  /** Goes on after a connection broke, or could not be made; gives up where that has failed before. */
  #recover({ reason, cause, closeCode }: LinkEnd & { kind: 'broken' }, wasOpen: boolean): void {
    const { clock, random } = this.#options;
    const error = notDelivered(this.address, reason, cause);
    if (closeCode === MESSAGE_TOO_BIG) this.#rejectLargest(error);
    // The first one without an answer is the likely reason where that happens again and again.
    let { maxWrites } = this.#limits;
    for (const pending of this.#inFlight.values()) {
      if (pending.writes >= maxWrites) pending.reject(error);
      maxWrites = this.#limits.maxWrites * 2;
    }
    const left = [...this.#inFlight.values(), ...this.#waiting].filter(({ isSettled }) => !isSettled);
    this.#inFlight.clear();
    this.#waiting.clear();
    for (const pending of left) this.#waiting.add(pending);
    if (left.length === 0) return;
    const nowMs = clock.monotonicMs();
    if (wasOpen) this.#giveUpAtMs = nowMs + this.#limits.connectTimeoutMs;
    // Where nothing ever answered, another way is better than a second try.
    const mayRetry = this.#giveUpAtMs !== undefined && nowMs < this.#giveUpAtMs;
    if (!mayRetry || this.#failedTries >= this.#limits.maxReconnects) {
      this.#failAll(error);
      return;
    }
    const delayMs = random() * RECONNECT_BASE_MS * 2 ** this.#failedTries;
    this.#failedTries += 1;
    this.#isConnecting = true;
    this.#retryTimer = clock.setTimer(() => void this.#dial(), delayMs);
  }

  /** The receiver does not say which one it did not want to read. */
  #rejectLargest(cause: MembraneError): void {
    let largest: PendingSend | undefined;
    let maxLength = -1;
    for (const pending of this.#inFlight.values()) {
      const { length } = JSON.stringify(pending.message.envelope);
      if (length > maxLength) [largest, maxLength] = [pending, length];
    }
    largest?.reject(
      new MembraneError('payload_too_large', `${this.address} takes no message of that size`, { cause }),
    );
  }

  #takeAll(): PendingSend[] {
    const all = [...this.#inFlight.values(), ...this.#waiting];
    this.#inFlight.clear();
    this.#waiting.clear();
    this.#giveUpAtMs = undefined;
    this.#failedTries = 0;
    return all;
  }

  #failAll(error: unknown): void {
    for (const pending of this.#takeAll()) pending.reject(error);
  }
}
