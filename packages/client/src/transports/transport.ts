import type { DeliveryOutcome, Envelope, JsonValue } from '@membrane/protocol';

/** A way to hand messages to somebody. */
export type RouteKind = 'ipc' | 'network' | 'shared-volume' | 'relay' | 'mailbox' | 'memory';

/** One place where a message can be handed over. */
export interface RouteAddress {
  readonly kind: RouteKind;
  /** A socket path, a URL, a directory; for the mailbox, the id of its owner. */
  readonly address: string;
  /**
   * True where the receiver named the realm of the address, which the sender shares: a directory of a shared volume may
   * be mounted elsewhere here.
   */
  readonly isRealmNamed?: boolean | undefined;
}

/** What is handed over. A transport writes `ttl_ms` when it sends, from the deadline. */
export interface OutgoingMessage {
  readonly envelope: Envelope & { id: string };
  /** By the clock of the transport (`Clock.monotonicMs`). */
  readonly deadlineAtMs: number;
}

export interface SendHooks {
  /** Ends the try: the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** The receiver has it in memory. */
  readonly onAccepted?: (() => void) | undefined;
}

export interface TransportResult {
  /** The strongest that this way can tell: `queued` where it is durable and nobody says more. */
  readonly outcome: DeliveryOutcome;
  readonly reply?: JsonValue;
}

/**
 * Hands messages over, one way. Every transport passes the conformance suite in `test/transports/`. It tries once: who
 * calls it decides what comes next.
 */
export interface Transport {
  /**
   * @throws MembraneError `not_delivered` (refused, reset, silent: it may have arrived, or not), or what the other end
   * says: `wrong_receiver`, `inbox_full`, `mailbox_full`, `no_handler`, `handler_failed`, `expired`, `out_of_order`,
   * `payload_too_large`, `invalid_request`, `forbidden`, `routing_loop`; with `details.retryAfterMs` where told.
   */
  send(message: OutgoingMessage, to: RouteAddress, hooks?: SendHooks): Promise<TransportResult>;
  /** Tells the other end that a message of a stream will never come. Never rejects; where it cannot, it does nothing. */
  skip?(to: RouteAddress, skipped: { session: string; stream: string; sequence: number }): void;
  close(): Promise<void>;
}
