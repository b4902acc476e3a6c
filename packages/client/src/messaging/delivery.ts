import type { DeliveryAttempt, DeliveryOutcome, JsonValue, MembraneError } from '@membrane/protocol';
import type { RouteKind } from '../transports/transport.js';

export interface SendOptions {
  /**
   * When `sendMessage` resolves: at the strongest outcome that the route taken gives, unless this says less; with
   * `processed` it goes on waiting until the handler has returned, or the deadline.
   */
  waitFor?: DeliveryOutcome | undefined;
  /** The message's deadline, in milliseconds from now. Longer rides out longer outages, and holds memory as long. */
  timeoutMs?: number | undefined;
  /** Messages of one stream are handled in the order in which they were sent. */
  stream?: string | undefined;
  /** By which handlers choose. */
  type?: string | undefined;
  /** Gives the message up; the promise rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Who gets the reply; `request` sets it. */
  replyTo?: string | undefined;
  /** The message that this one answers. */
  correlationId?: string | undefined;
  /** W3C Trace Context, handed on as it is. */
  traceparent?: string | undefined;
}

export interface DeliveryRoute {
  /** `unknown`: the reply is here, so the message is processed, and no route has said that it took it. */
  readonly kind: RouteKind | 'unknown';
  /** As `RouteAddress`; empty where it is not known. */
  readonly address: string;
}

export interface Delivery {
  readonly messageId: string;
  /** The membrane that it went to. */
  readonly target: string;
  /** `queued`: durable on the way. `accepted`: in the receiver's memory. `processed`: its handler has returned. */
  readonly outcome: DeliveryOutcome;
  readonly route: DeliveryRoute;
  /** What was tried, the last few tries, the successful one last. */
  readonly attempts: readonly DeliveryAttempt[];
}

/** With what the handler returned; absent where that was nothing. */
export interface Answer extends Delivery {
  readonly reply?: JsonValue;
}

/** What became of a broadcast at one member. */
export interface MemberReport {
  readonly id: string;
  /** Undefined where any instance would do. */
  readonly instanceId: string | undefined;
  readonly result: 'delivered' | 'queued' | 'unreachable' | 'expired' | 'failed';
  readonly delivery?: Delivery;
  readonly error?: MembraneError;
}

export interface BroadcastReport {
  readonly target: string;
  readonly members: readonly MemberReport[];
}
