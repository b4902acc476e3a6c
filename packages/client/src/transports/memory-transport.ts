import { LIMITS, MembraneError, type JsonValue } from '@membrane/protocol';
import { MAX_TIMER_MS, type Clock } from '../clock.js';
import type { HandlingResult, MessageTaker } from '../messaging/message-taker.js';
import { readEnvelope } from '../messaging/read-envelope.js';
import { toEnvelopeJson } from './outgoing-json.js';
import { notDelivered } from './pending-send.js';
import type { OutgoingMessage, RouteAddress, SendHooks, Transport, TransportResult } from './transport.js';

interface Place {
  readonly taker: MessageTaker;
  /** What ends the sends that have no answer yet. */
  readonly underWay: Set<(error: unknown) => void>;
}

/** Who takes messages in this process, by address. */
export class MemoryReceivers {
  readonly #places = new Map<string, Place>();

  /**
   * Takes messages at an address until what is returned is called; sends that have no answer then fail.
   * @throws MembraneError `conflict` where somebody else has the address.
   */
  serve(address: string, taker: MessageTaker): () => void {
    if (this.#places.has(address)) {
      throw new MembraneError('conflict', `messages at ${address} are taken by somebody else`);
    }
    const place: Place = { taker, underWay: new Set() };
    this.#places.set(address, place);
    return () => {
      if (this.#places.get(address) === place) this.#places.delete(address);
      for (const fail of [...place.underWay]) fail(notDelivered(address, 'the receiver is gone'));
    };
  }

  find(address: string): Place | undefined {
    return this.#places.get(address);
  }
}

export interface MemoryTransportOptions {
  readonly receivers: MemoryReceivers;
  readonly clock: Clock;
  readonly maxMessageBytes?: number | undefined;
}

/**
 * Hands messages over within the process: for tests, and the measure of what the other transports must do. They pass
 * through JSON as on any other way, so that nothing is shared.
 */
export class MemoryTransport implements Transport {
  readonly #options: MemoryTransportOptions;
  readonly #underWay = new Set<(error: unknown) => void>();
  #isClosed = false;

  constructor(options: MemoryTransportOptions) {
    this.#options = options;
  }

  async send(
    message: OutgoingMessage,
    to: RouteAddress,
    { signal, onAccepted }: SendHooks = {},
  ): Promise<TransportResult> {
    const { receivers, clock, maxMessageBytes = LIMITS.maxMessageBytes } = this.#options;
    signal?.throwIfAborted();
    if (this.#isClosed) throw closed();
    const nowMs = clock.monotonicMs();
    const leftMs = message.deadlineAtMs - nowMs;
    if (leftMs <= 0) throw notDelivered(to.address, 'the deadline is over');
    const text = toEnvelopeJson(message, { nowMs, earlierWrites: 0, maxMessageBytes });
    const envelope = { ...readEnvelope(JSON.parse(text)), id: message.envelope.id };
    const sizeBytes = Buffer.byteLength(text);
    const place = receivers.find(to.address);
    if (place === undefined) throw notDelivered(to.address, 'nobody takes messages there');
    const result = await this.#settled(place, (settle, fail) => {
      const timer = clock.setTimer(
        () => fail(notDelivered(to.address, 'no answer before the deadline')),
        Math.min(leftMs, MAX_TIMER_MS),
      );
      const abort = (): void => fail(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const told = { isDone: false };
      const refusal = place.taker.take(envelope, { sizeBytes, isKept: false }, (taken) => {
        told.isDone = true;
        settle(taken);
      });
      if (refusal !== undefined) fail(refusal);
      else if (!told.isDone) onAccepted?.();
      return () => {
        timer.cancel();
        signal?.removeEventListener('abort', abort);
      };
    });
    if (result.outcome === 'failed') throw result.error;
    if (result.outcome === 'queued' || result.reply === undefined) return { outcome: result.outcome };
    return { outcome: result.outcome, reply: JSON.parse(JSON.stringify(result.reply)) as JsonValue };
  }

  skip(to: RouteAddress, skipped: { session: string; stream: string; sequence: number }): void {
    const { session, stream, sequence } = skipped;
    this.#options.receivers.find(to.address)?.taker.skip(session, stream, sequence);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const fail of [...this.#underWay]) fail(closed());
    return Promise.resolve();
  }

  /** Settles with what comes first: an answer, the end of the receiver, of this transport, or of the time. */
  async #settled(
    { underWay }: Place,
    begin: (settle: (result: HandlingResult) => void, fail: (error: unknown) => void) => () => void,
  ): Promise<HandlingResult> {
    let end: (() => void) | undefined;
    let fail: (error: unknown) => void = () => undefined;
    try {
      return await new Promise((resolve, reject) => {
        fail = reject;
        underWay.add(fail);
        this.#underWay.add(fail);
        end = begin(resolve, fail);
      });
    } finally {
      end?.();
      underWay.delete(fail);
      this.#underWay.delete(fail);
    }
  }
}

function closed(): MembraneError {
  return new MembraneError('client_closed', 'this client was closed');
}
