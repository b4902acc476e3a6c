import { DEFAULT_NAMESPACE, type Envelope, type JsonValue } from '@membrane/protocol';

/** A message as a handler gets it. */
export interface Message {
  readonly id: string;
  /** Id of the membrane that sent it. */
  readonly sender: string;
  readonly namespace: string;
  /** Any JSON. */
  readonly payload: JsonValue;
  readonly type: string | undefined;
  /** Messages of one stream are handled in order; undefined where the sender named none. */
  readonly stream: string | undefined;
  /** Epoch seconds, by the clock of the sender. */
  readonly timestamp: number;
  /** Above 1 where it may have been handled before a restart of this process. */
  readonly attempt: number;
  /** Relays that it passed, the first one first. */
  readonly path: readonly string[];
  /** Who wants the reply, where the sender asked for one. */
  readonly replyTo: string | undefined;
  /** Which instance of it. */
  readonly replyToInstance: string | undefined;
  /** The message that this one answers. */
  readonly correlationId: string | undefined;
  /** W3C Trace Context. */
  readonly traceparent: string | undefined;
}

/** An envelope that got its id. */
export type KnownEnvelope = Envelope & { id: string };

export function toMessage(envelope: KnownEnvelope): Message {
  return {
    id: envelope.id,
    sender: envelope.sender,
    namespace: envelope.namespace ?? DEFAULT_NAMESPACE,
    payload: envelope.payload,
    type: envelope.type ?? undefined,
    stream: envelope.stream ?? undefined,
    timestamp: envelope.timestamp ?? Date.now() / 1_000,
    attempt: envelope.attempt ?? 1,
    path: envelope.path ?? [],
    replyTo: envelope.reply_to ?? undefined,
    replyToInstance: envelope.reply_to_instance ?? undefined,
    correlationId: envelope.correlation_id ?? undefined,
    traceparent: envelope.traceparent ?? undefined,
  };
}
