import { setMaxListeners } from 'node:events';
import { isMembraneError, MembraneError, type JsonValue } from '@membrane/protocol';
import type { Tell } from '../client-events.js';
import type { Clock } from '../clock.js';
import { LazyProcessHold } from '../lazy-process-hold.js';
import { toMembraneError } from '../to-membrane-error.js';
import { AttemptLog } from './attempt-log.js';
import { Conversation, MAX_LEAD } from './conversation.js';
import type { Consignment, Courier, Receipt } from './courier.js';
import type { Answer } from './delivery.js';
import type { KnownEnvelope } from './message.js';
import type { Outbox } from './outbox.js';
import { rejectWith } from './reject-with.js';
import { streamKey, type RouteFinder, type RouteRequest } from './route-finder.js';
import type { Route } from './route.js';

/** Conversations whose numbers are remembered. */
const MAX_CONVERSATIONS = 10_000;

export interface MessengerParts {
  readonly id: string;
  readonly namespace: string;
  readonly session: string;
  readonly courier: Courier;
  readonly routes: RouteFinder;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Where messages survive this process. */
  readonly outbox: Outbox | undefined;
  readonly maxPendingMessages: number;
  readonly handlerTries: number;
  /** Of this client; undefined where it is not registered. */
  readonly ownInstanceId: () => string | undefined;
}

/** What is to be sent, checked. */
export interface Dispatch extends RouteRequest {
  readonly messageId: string;
  readonly payload: JsonValue;
  readonly timeoutMs: number;
  readonly stream: string | undefined;
  readonly type: string | undefined;
  readonly replyTo: string | undefined;
  readonly correlationId: string | undefined;
  readonly traceparent: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onAccepted: ((answer: Answer) => void) | undefined;
}

type Delivering = RouteRequest & Pick<Dispatch, 'timeoutMs' | 'signal' | 'onAccepted'>;

/**
 * Numbers messages, and keeps each until it is processed, kept durably by somebody else, or given up: then it is a dead
 * letter.
 */
export class Messenger {
  readonly #parts: MessengerParts;
  readonly #conversations = new Map<string, Conversation>();
  readonly #closed = new AbortController();
  readonly #hold = new LazyProcessHold();
  #pending = 0;
  /** Counts conversations that were forgotten: their numbers would begin anew under a name that receivers know. */
  #forgotten = 0;

  constructor(parts: MessengerParts) {
    this.#parts = parts;
    // Every message that waits for its next try listens, however many there are.
    setMaxListeners(0, this.#closed.signal);
  }

  /**
   * Sends a message, and resolves with the strongest outcome that the route taken gives.
   * @throws MembraneError `not_delivered` at the deadline, or what makes it hopeless (`not_found`, `handler_failed`,
   * `payload_too_large`, …), with `details.attempts`; `client_closed`; the reason of the signal.
   */
  send(dispatch: Dispatch): Promise<Answer> {
    let conversation: Conversation;
    try {
      dispatch.signal?.throwIfAborted();
      this.#closed.signal.throwIfAborted();
      conversation = this.#conversation(nameOf(dispatch), dispatch.instanceId);
      this.#assertRoom(conversation, dispatch);
    } catch (error) {
      return rejectWith(error);
    }
    this.#pending += 1;
    this.#hold.add();
    if (this.#parts.outbox !== undefined)
      return this.#keepAndDeliver(this.#parts.outbox, dispatch, conversation);
    const sequence = conversation.begin(dispatch.stream);
    const envelope = this.#wrap(dispatch, conversation.sessionOf(dispatch.stream), sequence);
    return this.#deliver(envelope, dispatch, conversation);
  }

  /** Sends one of an earlier run on; it is settled or buried when that is over. Never rejects. */
  async resume(envelope: KnownEnvelope, ttlMs: number): Promise<void> {
    const { target = '', instance_id: instanceId, session, stream, sequence } = envelope;
    const request = {
      target: target ?? '',
      instanceId: instanceId ?? undefined,
      key: streamKey(envelope.sender, stream),
      answer: 'unneeded',
    } as const;
    const conversation = this.#conversation(nameOf(request), request.instanceId);
    if (sequence != null) conversation.resume(stream ?? undefined, sequence, session ?? undefined);
    const dispatch = { ...request, timeoutMs: ttlMs, signal: undefined, onAccepted: undefined };
    this.#pending += 1;
    this.#hold.add();
    await this.#deliver(envelope, dispatch, conversation).catch(() => undefined);
  }

  /**
   * Passes a message of somebody else on: each route is tried once.
   * @throws MembraneError what the routes said.
   */
  forward(envelope: KnownEnvelope, ttlMs: number): Promise<Receipt> {
    return this.#parts.courier.tryRoutes({
      envelope,
      request: {
        target: envelope.target ?? this.#parts.id,
        instanceId: envelope.instance_id ?? undefined,
        key: streamKey(envelope.sender, envelope.stream),
        answer: 'unneeded',
      },
      conversation: undefined,
      deadlineAtMs: this.#parts.clock.monotonicMs() + ttlMs,
      handlerTries: 1,
      signal: this.#closed.signal,
      trySignal: undefined,
      onAccepted: undefined,
      attempts: new AttemptLog(),
    });
  }

  /** Aborts when this is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Gives up what is under way, which rejects with `client_closed`; what an outbox keeps is sent in the next run. */
  close(): void {
    this.#closed.abort(new MembraneError('client_closed', 'this client was closed'));
    this.#hold.release();
  }

  async #keepAndDeliver(outbox: Outbox, dispatch: Dispatch, conversation: Conversation): Promise<Answer> {
    const { stream, timeoutMs } = dispatch;
    let envelope: KnownEnvelope;
    try {
      const sequence = outbox.nextSequence(nameOf(dispatch), stream);
      conversation.resume(stream, sequence);
      envelope = this.#wrap(dispatch, conversation.sessionOf(stream), sequence);
    } catch (error) {
      this.#end();
      throw error;
    }
    try {
      await outbox.put({ envelope, deadlineAtMs: Date.now() + timeoutMs, options: {} });
    } catch (error) {
      await this.#giveUp(envelope, conversation, error);
      this.#end();
      throw error;
    }
    return this.#deliver(envelope, dispatch, conversation);
  }

  /** Most messages need the first try alone, and no more than two promises. */
  #deliver(envelope: KnownEnvelope, dispatch: Delivering, conversation: Conversation): Promise<Answer> {
    const { courier, clock, handlerTries, outbox } = this.#parts;
    const { signal, onAccepted, target } = dispatch;
    const attempts = new AttemptLog();
    const consignment: Consignment = {
      envelope,
      request: dispatch,
      conversation,
      deadlineAtMs: clock.monotonicMs() + dispatch.timeoutMs,
      handlerTries,
      signal: signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]),
      trySignal: signal,
      onAccepted: onAccepted && ((by) => onAccepted(toAnswer(envelope.id, target, attempts, by, 'accepted'))),
      attempts,
    };
    const succeed = ({ route, outcome, reply }: Receipt): Answer | Promise<Answer> => {
      this.#end();
      const answer = toAnswer(envelope.id, target, attempts, route, outcome, reply);
      if (outbox === undefined) return answer;
      const isKept = outcome === 'queued' && envelope.stream != null;
      const leftMs = consignment.deadlineAtMs - clock.monotonicMs();
      const settled = isKept
        ? outbox.settleKept(envelope.id, Date.now() + leftMs)
        : outbox.settle(envelope.id);
      return settled.then(() => answer);
    };
    const fail = async (error: unknown): Promise<never> => {
      await this.#giveUp(envelope, conversation, error);
      this.#end();
      throw error;
    };
    const first = courier.sendNow(consignment);
    if (first === undefined) return courier.deliver(consignment).then(succeed, fail);
    return first.then(succeed, (error: unknown) =>
      isMembraneError(error) ? courier.deliver(consignment, error).then(succeed, fail) : fail(error),
    );
  }

  async #giveUp(envelope: KnownEnvelope, conversation: Conversation, cause: unknown): Promise<void> {
    const error = toMembraneError(cause);
    const { session, stream, sequence, id } = envelope;
    const { routes, outbox, tell } = this.#parts;
    if (sequence != null) {
      conversation.settle(stream ?? undefined, sequence, 'given-up', session ?? undefined);
      if (stream != null) {
        routes.skip(envelope.target ?? '', { session: conversation.session, stream, sequence });
      }
    }
    // Closing is no verdict on the message: an outbox keeps it for the next run.
    if (this.#closed.signal.aborted && outbox !== undefined) return;
    try {
      await outbox?.bury(id, error);
    } catch {
      // It is still in the outbox, and tried again by the next run.
    }
    tell('deadLetter', { envelope, error });
  }

  #end(): void {
    this.#pending -= 1;
    this.#hold.remove();
  }

  /** @throws MembraneError `not_delivered` where too much is under way. */
  #assertRoom(conversation: Conversation, { stream, target }: Dispatch): void {
    if (this.#pending >= this.#parts.maxPendingMessages) {
      throw new MembraneError(
        'not_delivered',
        `${this.#pending} messages of this client are under way already; wait for some of them`,
      );
    }
    // Those of a stream stand behind its oldest one in any case; the others pass it.
    const lead = stream === undefined ? 0 : conversation.lead(stream);
    if (lead < MAX_LEAD) return;
    throw new MembraneError(
      'not_delivered',
      `stream "${stream}" to "${target}" is ${lead} messages ahead of its oldest one, which is not handled yet; ` +
        'wait for that one, or use another stream',
    );
  }

  #conversation(name: string, instanceId: string | undefined): Conversation {
    const known = this.#conversations.get(name);
    if (known !== undefined) return known;
    if (this.#conversations.size >= MAX_CONVERSATIONS) this.#forgetIdle();
    const { session, outbox } = this.#parts;
    // An outbox remembers the numbers.
    const epoch = outbox !== undefined || this.#forgotten === 0 ? '' : `.${this.#forgotten}`;
    // What goes to one instance is numbered apart from what goes to whichever is the first.
    const suffix = instanceId === undefined ? '' : `/${instanceId}`;
    const conversation = new Conversation(`${session}${epoch}${suffix}`, {
      earlierRuns: outbox?.earlier,
    });
    this.#conversations.set(name, conversation);
    return conversation;
  }

  #forgetIdle(): void {
    for (const [name, conversation] of this.#conversations) {
      if (!conversation.isIdle) continue;
      this.#conversations.delete(name);
      this.#forgotten += 1;
      return;
    }
  }

  #wrap(dispatch: Dispatch, session: string, sequence: number): KnownEnvelope {
    const { messageId: id, target, payload, stream, type, replyTo, correlationId, traceparent } = dispatch;
    const { id: sender, namespace } = this.#parts;
    const timestamp = Date.now() / 1_000;
    const envelope: KnownEnvelope = {
      id,
      sender,
      target,
      namespace,
      timestamp,
      payload,
      session,
      sequence,
      attempt: 1,
    };
    if (dispatch.instanceId !== undefined) envelope.instance_id = dispatch.instanceId;
    if (stream !== undefined) envelope.stream = stream;
    if (type !== undefined) envelope.type = type;
    if (replyTo !== undefined) {
      envelope.reply_to = replyTo;
      if (replyTo === sender) envelope.reply_to_instance = this.#parts.ownInstanceId();
    }
    if (correlationId !== undefined) envelope.correlation_id = correlationId;
    if (traceparent !== undefined) envelope.traceparent = traceparent;
    return envelope;
  }
}

/** Numbers of one instance are no numbers of the others. */
function nameOf({ target, instanceId }: Pick<RouteRequest, 'target' | 'instanceId'>): string {
  return instanceId === undefined ? target : `${target}/${instanceId}`;
}

function toAnswer(
  messageId: string,
  target: string,
  attempts: AttemptLog,
  route: Route,
  outcome: Receipt['outcome'],
  reply?: JsonValue,
): Answer {
  const { kind, address } = route;
  return {
    messageId,
    target,
    outcome,
    route: { kind, address },
    attempts: attempts.succeeded(target, route, outcome),
    ...(reply === undefined ? undefined : { reply }),
  };
}
