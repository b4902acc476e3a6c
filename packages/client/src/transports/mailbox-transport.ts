import { LIMITS, MembraneError } from '@membrane/protocol';
import { systemClock, type Clock } from '../clock.js';
import type { RegistryApi } from '../registry-api.js';
import type { OutgoingMessage, RouteAddress, SendHooks, Transport, TransportResult } from './transport.js';

export interface MailboxTransportParts {
  readonly api: Pick<RegistryApi, 'postMessage'>;
  /** Of one try, where the deadline of the message is later. */
  readonly timeoutMs: number;
  readonly clock?: Clock;
}

/** Leaves messages with the registry, which keeps them until their receiver collects them. */
export class MailboxTransport implements Transport {
  readonly #api: Pick<RegistryApi, 'postMessage'>;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  constructor({ api, timeoutMs, clock = systemClock }: MailboxTransportParts) {
    this.#api = api;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /**
   * @param to its address is the id of the mailbox's owner
   * @throws MembraneError besides those of a transport: `not_found` for an id that the registry does not know, and
   * `registry_unreachable`, `not_ready` or `store_unavailable` where it keeps nothing now.
   */
  async send(
    { envelope, deadlineAtMs }: OutgoingMessage,
    to: RouteAddress,
    { signal }: SendHooks = {},
  ): Promise<TransportResult> {
    signal?.throwIfAborted();
    const leftMs = deadlineAtMs - this.#clock.monotonicMs();
    if (leftMs <= 0) throw new MembraneError('expired', `the time of message ${envelope.id} is over`);
    const ttlMs = Math.min(Math.ceil(leftMs), LIMITS.maxMessageTtlMs);
    await this.#api.postMessage(
      { ...envelope, target: to.address, ttl_ms: ttlMs },
      { signal, timeoutMs: Math.min(ttlMs, this.#timeoutMs) },
    );
    return { outcome: 'queued' };
  }

  /** The connection belongs to the client. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
