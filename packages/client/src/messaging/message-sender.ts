import {
  isMembraneError,
  LIMITS,
  MembraneError,
  parseTarget,
  validate,
  envelopeSchema,
  type JsonValue,
  type Target,
} from '@membrane/protocol';
import { waitWithSignal } from '../abort.js';
import type { Clock } from '../clock.js';
import { toMembraneError } from '../to-membrane-error.js';
import { askInTime } from './ask-in-time.js';
import type { Answer, BroadcastReport, Delivery, MemberReport, SendOptions } from './delivery.js';
import type { Message } from './message.js';
import { newMessageId } from './message-id.js';
import type { Dispatch, Messenger } from './messenger.js';
import { rejectWith } from './reject-with.js';
import { REPLY_TYPE, type ReplyBook } from './reply-book.js';
import { streamKey } from './route-finder.js';
import type { Member, TargetFinder } from './target-finder.js';

/** Members of a broadcast that are sent to at once. */
const MAX_MEMBERS_AT_ONCE = 64;
const MAX_TARGETS = 1_000;
/** How long the word of a route is waited for when the reply is here already. */
const ROUTE_WAIT_MS = 1_000;

export interface MessageSenderParts {
  readonly id: string;
  readonly messenger: Messenger;
  readonly targets: TargetFinder;
  readonly replies: ReplyBook;
  readonly clock: Clock;
  readonly defaultTimeoutMs: number;
  /** True where replies can reach this client by a message. */
  readonly canBeReached: () => boolean;
}

/** What `sendMessage`, `request`, `broadcast` and `reply` do. */
export class MessageSender {
  readonly #parts: MessageSenderParts;
  /** Parsed already. */
  readonly #targets = new Map<string, Target>();

  constructor(parts: MessageSenderParts) {
    this.#parts = parts;
  }

  send(text: string, payload: JsonValue, options: SendOptions): Promise<Delivery> {
    const target = this.#parse(text);
    if (target?.kind !== 'one') return this.#sendFound(text, payload, options);
    try {
      this.#check(payload, options);
      const member = { id: target.id, instanceId: undefined };
      return this.#send(this.#toDispatch(member, payload, options), options).then(toDelivery);
    } catch (error) {
      return rejectWith(error);
    }
  }

  /** @throws MembraneError `handler_failed` with what the handler threw; as `send`. */
  async request(target: string, payload: JsonValue, options: SendOptions): Promise<JsonValue> {
    const dispatch = await this.#dispatch(target, payload, { ...options, replyTo: this.#parts.id });
    const { reply } = await this.#sendAndWait(dispatch, { tellsRoute: false });
    return reply ?? null;
  }

  reply(message: Message, payload: JsonValue, options: SendOptions): Promise<Delivery> {
    const { id: correlationId, replyTo, sender, replyToInstance } = message;
    const member = { id: replyTo ?? sender, instanceId: replyToInstance };
    return this.sendTo(member, payload, { type: REPLY_TYPE, ...options, correlationId });
  }

  /** To an id, or one instance of it. */
  async sendTo(member: Member, payload: JsonValue, options: SendOptions): Promise<Delivery> {
    this.#check(payload, options);
    return toDelivery(await this.#send(this.#toDispatch(member, payload, options), options));
  }

  /**
   * Never rejects for what befalls a member: that is in its report.
   * @throws MembraneError `invalid_request` for what is wrong for all of them; `not_found` where the target names
   * somebody who does not exist.
   */
  async broadcast(text: string, payload: JsonValue, options: SendOptions): Promise<BroadcastReport> {
    const target = parseTarget(text);
    this.#check(payload, options);
    const { found: members, timeoutMs } = await this.#find(
      (signal) => this.#parts.targets.findAll(target, signal),
      options,
    );
    const reports: MemberReport[] = [];
    const next = members.entries();
    const work = async (): Promise<void> => {
      for (const [index, member] of next) {
        reports[index] = await this.#sendToMember(member, payload, { ...options, timeoutMs });
      }
    };
    await Promise.all(Array.from({ length: Math.min(MAX_MEMBERS_AT_ONCE, members.length) }, work));
    return { target: text, members: reports };
  }

  async #sendToMember(
    { id, instanceId }: Member,
    payload: JsonValue,
    options: SendOptions,
  ): Promise<MemberReport> {
    const member = { id, instanceId };
    try {
      const dispatch = this.#toDispatch(member, payload, options);
      const delivery = toDelivery(await this.#send(dispatch, options));
      return { ...member, result: delivery.outcome === 'queued' ? 'queued' : 'delivered', delivery };
    } catch (cause) {
      options.signal?.throwIfAborted();
      const error = toMembraneError(cause);
      return { ...member, result: resultOf(error), error };
    }
  }

  async #sendFound(text: string, payload: JsonValue, options: SendOptions): Promise<Delivery> {
    return toDelivery(await this.#send(await this.#dispatch(text, payload, options), options));
  }

  /** Undefined where it is no target. */
  #parse(text: string): Target | undefined {
    const known = this.#targets.get(text);
    if (known !== undefined) return known;
    try {
      const target = parseTarget(text);
      if (this.#targets.size >= MAX_TARGETS) this.#targets.clear();
      this.#targets.set(text, target);
      return target;
    } catch {
      return undefined;
    }
  }

  async #dispatch(text: string, payload: JsonValue, options: SendOptions): Promise<Dispatch> {
    const target = parseTarget(text);
    this.#check(payload, options);
    if (target.kind === 'any' || target.kind === 'one') {
      return this.#toDispatch({ id: target.id, instanceId: undefined }, payload, options);
    }
    const { found: id, timeoutMs } = await this.#find(
      (signal) => this.#parts.targets.findOne(target, signal),
      options,
    );
    return this.#toDispatch({ id, instanceId: undefined }, payload, { ...options, timeoutMs });
  }

  /**
   * Looks up what a target means; the time that takes is the message's.
   * @returns with the time that is left
   */
  async #find<Found>(
    find: (signal: AbortSignal) => Promise<Found>,
    { timeoutMs = this.#parts.defaultTimeoutMs, signal }: SendOptions,
  ): Promise<{ found: Found; timeoutMs: number }> {
    const { clock, messenger } = this.#parts;
    const deadlineAtMs = clock.monotonicMs() + timeoutMs;
    const wanted = signal === undefined ? messenger.closed : AbortSignal.any([signal, messenger.closed]);
    const toLateError = (cause: MembraneError): MembraneError => {
      const message = `its receiver was not looked up in time: ${cause.message}`;
      return new MembraneError('not_delivered', message, { cause });
    };
    const found = await askInTime(find, { clock, deadlineAtMs, signal: wanted, toLateError });
    return { found, timeoutMs: Math.max(1, deadlineAtMs - clock.monotonicMs()) };
  }

  #check(payload: JsonValue, options: SendOptions): void {
    checkOptions(payload, options.timeoutMs ?? this.#parts.defaultTimeoutMs, options);
  }

  /** @param options checked ones */
  #toDispatch({ id, instanceId }: Member, payload: JsonValue, options: SendOptions): Dispatch {
    const { timeoutMs = this.#parts.defaultTimeoutMs, stream, type, replyTo, correlationId } = options;
    return {
      messageId: newMessageId(),
      target: id,
      instanceId,
      key: streamKey(this.#parts.id, stream),
      answer: 'unneeded',
      payload,
      timeoutMs,
      stream,
      type,
      replyTo,
      correlationId,
      traceparent: options.traceparent,
      signal: options.signal,
      onAccepted: undefined,
    };
  }

  #send(dispatch: Dispatch, { waitFor }: SendOptions): Promise<Answer> {
    if (waitFor === undefined) return this.#parts.messenger.send(dispatch);
    if (waitFor === 'processed') {
      const replyTo = dispatch.replyTo ?? this.#parts.id;
      return this.#sendAndWait({ ...dispatch, replyTo });
    }
    return new Promise((resolve, reject) => {
      // What comes after is told by events.
      this.#parts.messenger.send({ ...dispatch, onAccepted: resolve }).then(resolve, reject);
    });
  }

  /** Goes on where a message is only queued: its handler says by a message of its own that it has returned. */
  async #sendAndWait(dispatch: Dispatch, { tellsRoute = true } = {}): Promise<Answer> {
    const { messenger, replies, clock, canBeReached } = this.#parts;
    const { messageId, timeoutMs, signal } = dispatch;
    // Nobody could tell a client that is not registered what became of a message that only waits somewhere.
    const need = canBeReached() ? 'wanted' : 'needed';
    const startMs = clock.monotonicMs();
    const reply = replies.wait(messageId);
    // Whoever is asked may answer, and fail, before anybody waits.
    reply.catch(() => undefined);
    try {
      const sent = messenger.send({ ...dispatch, answer: need });
      const first = await Promise.race([sent, reply.then(() => undefined)]);
      if (first !== undefined && first.outcome === 'processed') return first;
      const { route, attempts } = first ?? (tellsRoute ? await this.#waitForRoute(sent) : NO_ROUTE);
      const leftMs = timeoutMs - (clock.monotonicMs() - startMs);
      const value = await this.#waitFor(reply, leftMs, first, signal);
      return {
        messageId,
        target: dispatch.target,
        outcome: 'processed',
        route,
        attempts,
        ...(value === undefined ? undefined : { reply: value }),
      };
    } finally {
      replies.forget(messageId);
    }
  }

  /** Of a message whose reply is here: most likely its route is about to say so too. */
  async #waitForRoute(sent: Promise<Answer>): Promise<Pick<Answer, 'route' | 'attempts'>> {
    const limit = new AbortController();
    const timer = this.#parts.clock.setTimer(() => {
      limit.abort(new MembraneError('not_delivered', 'no route says that it took the message'));
    }, ROUTE_WAIT_MS);
    try {
      return await waitWithSignal(sent, limit.signal);
    } catch (error) {
      if (!isMembraneError(error)) throw error;
      return { ...NO_ROUTE, attempts: error.details.attempts ?? NO_ROUTE.attempts };
    } finally {
      timer.cancel();
    }
  }

  async #waitFor(
    reply: Promise<JsonValue | undefined>,
    leftMs: number,
    answer: Answer | undefined,
    signal: AbortSignal | undefined,
  ): Promise<JsonValue | undefined> {
    const limit = new AbortController();
    // Holds the process: somebody waits.
    const timer = setTimeout(
      () => {
        const where =
          answer === undefined ? '' : `; it is kept by ${answer.route.kind} (${answer.route.address})`;
        const how = this.#parts.canBeReached()
          ? ''
          : '. This client is not registered, so no reply can reach it';
        limit.abort(
          new MembraneError('not_delivered', `nobody said in time that it is processed${where}${how}`, {
            details: { attempts: answer?.attempts ?? [] },
          }),
        );
      },
      Math.max(0, leftMs),
    );
    try {
      return await waitWithSignal(waitWithSignal(reply, limit.signal), signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A handler that returned nothing leaves nothing to take away. */
function toDelivery(answer: Answer): Delivery {
  if (answer.reply === undefined) return answer;
  const { reply, ...delivery } = answer;
  return delivery;
}

const NO_ROUTE = { route: { kind: 'unknown', address: '' }, attempts: [] } as const;

function resultOf({ code }: MembraneError): MemberReport['result'] {
  if (code === 'expired') return 'expired';
  return code === 'handler_failed' || code === 'payload_too_large' ? 'failed' : 'unreachable';
}

/** @throws MembraneError `invalid_request` that names the option, its value and what would be right. */
function checkOptions(payload: unknown, timeoutMs: number, options: SendOptions): void {
  if (!(timeoutMs > 0 && timeoutMs <= LIMITS.maxMessageTtlMs)) {
    throw new MembraneError(
      'invalid_request',
      `timeoutMs must be a number above 0, and at most ${LIMITS.maxMessageTtlMs}; got ${String(timeoutMs)}`,
    );
  }
  if (payload === undefined || ['function', 'symbol', 'bigint'].includes(typeof payload)) {
    throw new MembraneError('invalid_request', `payload must be JSON; got ${typeof payload}`);
  }
  if (typeof payload === 'object' && payload !== null) checkJson(payload);
  const { stream, type, replyTo, correlationId, traceparent } = options;
  if ((stream ?? type ?? replyTo ?? correlationId ?? traceparent) === undefined) return;
  const names = { stream, type, reply_to: replyTo, correlation_id: correlationId, traceparent };
  validate(NAMES_SCHEMA, names, 'message');
}

/** Some ways would find out late, and one of them only at the deadline. */
function checkJson(payload: object): void {
  try {
    if ((JSON.stringify(payload) as string | undefined) !== undefined) return;
  } catch (cause) {
    const [reason = ''] = (cause as Error).message.split('\n');
    throw new MembraneError('invalid_request', `payload must be JSON: ${reason}`, { cause });
  }
  throw new MembraneError('invalid_request', 'payload must be JSON; got an object without a form in it');
}

const NAMES_SCHEMA = envelopeSchema.pick({
  stream: true,
  type: true,
  reply_to: true,
  correlation_id: true,
  traceparent: true,
});
