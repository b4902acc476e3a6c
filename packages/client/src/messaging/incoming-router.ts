import { DEFAULT_INSTANCE_ID, LIMITS, MembraneError, type JsonValue } from '@membrane/protocol';
import { toMembraneError } from '../to-membrane-error.js';
import type { Receipt } from './courier.js';
import type { SendOptions } from './delivery.js';
import type { HandlingResult, MessageTaker, TakeOptions } from './message-taker.js';
import type { KnownEnvelope } from './message.js';
import { FAILURE_TYPE, RESULT_TYPE, type ReplyBook } from './reply-book.js';
import type { Member } from './target-finder.js';

/** Messages of others that are passed on at once. */
const MAX_FORWARDS = 1_000;

/** The deadline of messages that name none, in milliseconds. */
export const DEFAULT_TTL_MS = 60_000;

export interface IncomingRouterParts {
  readonly id: string;
  readonly namespace: string;
  readonly instanceId: () => string;
  /** False where a newer registration has the name, or somebody ended it. */
  readonly isOurs: () => boolean;
  /** True where it passes messages on to others. */
  readonly isRelay: () => boolean;
  readonly inbox: MessageTaker;
  readonly replies: ReplyBook;
  readonly forward: (envelope: KnownEnvelope, ttlMs: number) => Promise<Receipt>;
  /** Sends what became of a message to who wants to know. */
  readonly sendReply: (
    to: Member,
    payload: JsonValue,
    options: Pick<SendOptions, 'type' | 'correlationId'>,
  ) => void;
}

/** Decides whom a message that came is for: a handler of this client, somebody who waits for a reply, or others. */
export class IncomingRouter implements MessageTaker {
  readonly #parts: IncomingRouterParts;
  readonly #openListeners = new Set<() => void>();
  #forwards = 0;

  constructor(parts: IncomingRouterParts) {
    this.#parts = parts;
  }

  take(
    envelope: KnownEnvelope,
    options: TakeOptions,
    onDone: (result: HandlingResult) => void,
  ): MembraneError | undefined {
    const { id, namespace, inbox, replies, isRelay, isOurs } = this.#parts;
    if (!isOurs()) {
      // What is kept for the name is its next holder's.
      return new MembraneError(
        options.isKept ? 'client_closed' : 'wrong_receiver',
        `this is "${id}" no more`,
      );
    }
    if (envelope.namespace != null && envelope.namespace !== namespace) {
      return this.#wrongReceiver();
    }
    if (envelope.target != null && envelope.target !== id) {
      return isRelay() && !options.isKept ? this.#relay(envelope, onDone) : this.#wrongReceiver();
    }
    if (this.#isForOtherInstance(envelope, options)) return this.#wrongReceiver();
    if (envelope.correlation_id != null && replies.take(envelope)) {
      onDone({ outcome: 'processed' });
      return undefined;
    }
    return inbox.take(envelope, options, this.#replying(envelope, options, onDone));
  }

  skip(session: string, stream: string, sequence: number): void {
    this.#parts.inbox.skip(session, stream, sequence);
  }

  /** Replies and messages for others need no handler: there is always room for some. */
  get window(): number {
    return Math.max(this.#parts.inbox.window, this.#parts.isRelay() ? MAX_FORWARDS - this.#forwards : 1);
  }

  onWindowChange(listener: () => void): () => void {
    const stop = this.#parts.inbox.onWindowChange(listener);
    this.#openListeners.add(listener);
    return () => {
      stop();
      this.#openListeners.delete(listener);
    };
  }

  /** One that waited in a directory or the mailbox was chosen for an instance that may be gone. */
  #isForOtherInstance({ instance_id: instanceId }: KnownEnvelope, { isKept }: TakeOptions): boolean {
    return !isKept && instanceId != null && instanceId !== this.#parts.instanceId();
  }

  #wrongReceiver(): MembraneError {
    const { id, namespace, instanceId } = this.#parts;
    const instance = instanceId() === DEFAULT_INSTANCE_ID ? '' : ` (${instanceId()})`;
    return new MembraneError(
      'wrong_receiver',
      `this is "${id}"${instance} of namespace "${namespace}", which passes nothing on`,
    );
  }

  /** Over a connection the reply goes back with the ack; what was kept for this client is answered by a message. */
  #replying(
    envelope: KnownEnvelope,
    { isKept }: TakeOptions,
    onDone: (result: HandlingResult) => void,
  ): (result: HandlingResult) => void {
    const { reply_to: replyTo, reply_to_instance: instanceId, id: correlationId } = envelope;
    if (!isKept || replyTo == null) return onDone;
    const to = { id: replyTo, instanceId: instanceId ?? undefined };
    return (result) => {
      onDone(result);
      if (result.outcome === 'processed') {
        this.#parts.sendReply(to, result.reply ?? null, { type: RESULT_TYPE, correlationId });
      } else if (result.outcome === 'failed' && result.error.code === 'handler_failed') {
        this.#parts.sendReply(to, result.error.message, { type: FAILURE_TYPE, correlationId });
      }
    };
  }

  #relay(envelope: KnownEnvelope, onDone: (result: HandlingResult) => void): MembraneError | undefined {
    const { id, forward } = this.#parts;
    const path = envelope.path ?? [];
    if (path.includes(id) || path.length >= LIMITS.maxHops) {
      return new MembraneError('routing_loop', `passed on by ${[...path, id].join(', ')}`);
    }
    if (this.#forwards >= MAX_FORWARDS) {
      return new MembraneError('inbox_full', `"${id}" passes ${MAX_FORWARDS} messages on already`);
    }
    this.#forwards += 1;
    const onward = { ...envelope, path: [...path, id] };
    forward(onward, envelope.ttl_ms ?? DEFAULT_TTL_MS)
      .then(({ outcome, reply }): HandlingResult => {
        if (outcome !== 'processed') return { outcome: 'queued' };
        return reply === undefined ? { outcome } : { outcome, reply };
      })
      .catch((error: unknown): HandlingResult => ({ outcome: 'failed', error: toMembraneError(error) }))
      .then((result) => {
        this.#forwards -= 1;
        if (this.#forwards === MAX_FORWARDS - 1) for (const listener of this.#openListeners) listener();
        onDone(result);
      })
      .catch(() => undefined);
    return undefined;
  }
}
