import {
  isMembraneError,
  MembraneError,
  type DeliveryOutcome,
  type ErrorCode,
  type JsonValue,
} from '@membrane/protocol';
import type { Clock } from '../clock.js';
import { toMembraneError } from '../to-membrane-error.js';
import { askInTime } from './ask-in-time.js';
import type { AttemptLog } from './attempt-log.js';
import type { Conversation } from './conversation.js';
import type { KnownEnvelope } from './message.js';
import { retryDelayMs } from './retry-delay.js';
import type { RouteFinder, RouteRequest } from './route-finder.js';
import { isKeeping, type Route } from './route.js';

/**
 * What a failed try means: the next route may do; the same one may do later; the handler may do better next time; the
 * receiver is to be looked for again. Whatever is not here is final.
 */
type Verdict = 'next-route' | 'wait' | 'handler' | 'final';

const VERDICTS: Readonly<Partial<Record<ErrorCode, Verdict>>> = Object.freeze({
  not_delivered: 'next-route',
  no_handler: 'next-route',
  wrong_receiver: 'next-route',
  forbidden: 'next-route',
  routing_loop: 'next-route',
  internal_error: 'next-route',
  request_timeout: 'next-route',
  client_closed: 'next-route',
  registry_unreachable: 'next-route',
  not_ready: 'next-route',
  store_unavailable: 'next-route',
  mailbox_full: 'next-route',
  inbox_full: 'wait',
  handler_failed: 'handler',
});

/** After these it has certainly not arrived. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'inbox_full',
  'mailbox_full',
  'no_handler',
  'wrong_receiver',
  'forbidden',
]);

/** These say that an instance is not well; others, that a message is not. */
const FAULTS_OF_RECEIVERS: ReadonlySet<ErrorCode> = new Set([
  'not_delivered',
  'inbox_full',
  'no_handler',
  'handler_failed',
  'internal_error',
  'client_closed',
  'wrong_receiver',
]);

/** So long a route is given at least before its silence until the deadline of a message counts against it. */
const FAIR_TRY_MS = 1_000;
/** By so much timers of Node are early. */
const EARLY_MS = 2;

/** What receivers never say of a message: somebody else answers where one was. Of the mailbox alone they are final. */
const WORDS_OF_STRANGERS: ReadonlySet<ErrorCode> = new Set([
  'not_found',
  'method_not_allowed',
  'unsupported_media_type',
]);

/** A message on its way. */
export interface Consignment {
  readonly envelope: KnownEnvelope;
  readonly request: RouteRequest;
  /** Whose numbers it has; undefined for a message of somebody else. */
  readonly conversation: Conversation | undefined;
  readonly deadlineAtMs: number;
  /** Tries of a message whose handler fails. */
  readonly handlerTries: number;
  /** Ends the waits between tries. */
  readonly signal: AbortSignal;
  /** Ends a try; undefined where only the end of the client does, which ends all connections. */
  readonly trySignal: AbortSignal | undefined;
  readonly onAccepted: ((route: Route, attempts: AttemptLog) => void) | undefined;
  readonly attempts: AttemptLog;
}

export interface Receipt {
  readonly outcome: DeliveryOutcome;
  readonly reply: JsonValue | undefined;
  readonly route: Route;
}

export interface CourierParts {
  readonly routes: RouteFinder;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Takes messages to their receivers: one route after the other, and again after a while, until the deadline. */
export class Courier {
  readonly #parts: CourierParts;

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  /**
   * Hands a message to the best route, where that is at hand and gives the strongest outcome: most need nothing more,
   * and this is made of little. Undefined where there is none.
   * @throws MembraneError why not; `deliver` goes on from there.
   */
  sendNow(consignment: Consignment): Promise<Receipt> | undefined {
    const { routes } = this.#parts;
    const { request } = consignment;
    const plan = routes.known(request.target);
    const route = plan === undefined ? undefined : routes.choose(plan, request)[0];
    return route === undefined || isKeeping(route) ? undefined : this.#handOver(consignment, route);
  }

  /**
   * Goes on until it is handed over, or there is no hope. `failure`: what the best route has said.
   * @throws MembraneError with `details.attempts`: `not_delivered` at the deadline, else what makes it hopeless; the
   * reason of the signal.
   */
  async deliver(consignment: Consignment, failure?: MembraneError): Promise<Receipt> {
    const { clock, random } = this.#parts;
    const { attempts, deadlineAtMs, signal, handlerTries } = consignment;
    let failures = 0;
    let handlerFailures = 0;
    for (let isFirst = true; ; isFirst = false) {
      let error = isFirst ? failure : undefined;
      if (error === undefined || verdictOn(error) === 'next-route') {
        try {
          return await this.tryRoutes(consignment);
        } catch (cause) {
          signal.throwIfAborted();
          error = toMembraneError(cause);
        }
      }
      const verdict = verdictOn(error);
      if (verdict === 'handler') handlerFailures += 1;
      if (failures === 0) await this.#assertKnown(consignment, error);
      if (verdict === 'final' || handlerFailures >= handlerTries) throw attempts.explain(error);
      failures += 1;
      const waitMs = retryDelayMs(failures, error.details.retryAfterMs, random);
      if (clock.monotonicMs() + waitMs >= deadlineAtMs) throw attempts.explain(outOfTime(consignment, error));
      await pause(clock, waitMs, signal);
    }
  }

  /**
   * One try of each route.
   * @throws MembraneError of the last route that said something of its own.
   */
  async tryRoutes(consignment: Consignment): Promise<Receipt> {
    const { routes, clock } = this.#parts;
    const { request, attempts, envelope } = consignment;
    const { target } = request;
    const inTime = { clock, deadlineAtMs: consignment.deadlineAtMs, signal: consignment.signal };
    const plan = routes.known(target) ?? (await askInTime((signal) => routes.find(target, signal), inTime));
    let failure: MembraneError | undefined;
    const tryAll = async (several: readonly Route[]): Promise<Receipt | undefined> => {
      for (const route of several) {
        if (failure !== undefined && clock.monotonicMs() >= consignment.deadlineAtMs) throw failure;
        try {
          return await this.#handOver(consignment, route);
        } catch (error) {
          consignment.signal.throwIfAborted();
          if (!isMembraneError(error) || verdictOn(error) !== 'next-route') throw error;
          if (failure === undefined || error.code !== 'not_delivered') failure = error;
        }
      }
      return undefined;
    };
    const direct = await tryAll(routes.choose(plan, request));
    if (direct !== undefined) return direct;
    attempts.skipped(plan.skipped);
    if (request.answer === 'needed') attempts.skipped(routes.withoutAnswer(plan));
    const relays = await askInTime(
      (signal) => routes.findRelays(plan.membrane, envelope.path ?? [], signal),
      inTime,
    );
    const relayed = await tryAll(relays);
    if (relayed !== undefined) return relayed;
    const mailbox = request.answer === 'needed' ? undefined : routes.mailbox(target);
    if (mailbox !== undefined) {
      const kept = await tryAll([mailbox]);
      if (kept !== undefined) return kept;
    }
    const isThere = plan.membrane !== undefined;
    const why = isThere ? `no route leads to "${target}"` : `no membrane "${target}" is registered`;
    throw failure ?? new MembraneError('not_delivered', why);
  }

  /** @throws MembraneError `not_found`, as the mailbox says of who is unknown to those whose message may go there. */
  async #assertKnown({ request, signal, attempts }: Consignment, cause: MembraneError): Promise<void> {
    const { target, answer } = request;
    if (answer !== 'needed' || cause.code !== 'not_delivered') return;
    if (await this.#parts.routes.isKnown(target, signal)) return;
    throw attempts.explain(new MembraneError('not_found', `there is no membrane "${target}"`, { cause }));
  }

  #handOver(consignment: Consignment, route: Route): Promise<Receipt> {
    const { envelope, conversation, deadlineAtMs, trySignal, onAccepted, attempts, request } = consignment;
    if (conversation !== undefined) {
      const { stream, sequence } = envelope;
      if (stream != null && sequence != null) {
        envelope.floor = conversation.floor(stream, sequence, isKeeping(route) ? route.key : undefined);
      }
      // A relay, or the mailbox, hands it to whichever instance can be reached then.
      envelope.instance_id = request.instanceId ?? route.instanceId;
    }
    const startedAtMs = this.#parts.clock.monotonicMs();
    const endCall = this.#parts.routes.begin(request, route);
    let isAccepted = false;
    return route.transport
      .send({ envelope, deadlineAtMs }, route.via, {
        signal: trySignal,
        onAccepted: () => {
          isAccepted = true;
          // That a relay has it in memory says nothing of the receiver.
          if (route.kind !== 'relay') onAccepted?.(route, attempts);
        },
      })
      .then(
        ({ outcome, reply }) => {
          endCall?.(false);
          this.#parts.routes.worked(route);
          if (conversation !== undefined && envelope.sequence != null) {
            const end = outcome === 'queued' ? { keptAt: route.key, untilMs: deadlineAtMs } : 'processed';
            conversation.settle(
              envelope.stream ?? undefined,
              envelope.sequence,
              end,
              envelope.session ?? undefined,
            );
          }
          return { outcome, reply, route };
        },
        (cause: unknown) => {
          const failure = { cause: ofThisRoute(route, cause), startedAtMs, isAccepted };
          endCall?.(isMembraneError(cause) && FAULTS_OF_RECEIVERS.has(cause.code));
          throw this.#noteFailure(consignment, route, failure);
        },
      );
  }

  #noteFailure(
    { envelope, conversation, signal, attempts, request, deadlineAtMs }: Consignment,
    route: Route,
    { cause, startedAtMs, isAccepted }: { cause: unknown; startedAtMs: number; isAccepted: boolean },
  ): MembraneError {
    signal.throwIfAborted();
    const { routes, clock } = this.#parts;
    const error = toMembraneError(cause);
    attempts.failed(request.target, route, error);
    const nowMs = clock.monotonicMs();
    // At its own deadline a message fails whatever the route is like.
    const isOfRoute = nowMs < deadlineAtMs - EARLY_MS || (!isAccepted && nowMs - startedAtMs >= FAIR_TRY_MS);
    if (isOfRoute) routes.failed(route, error);
    if (error.code === 'not_delivered' || error.code === 'wrong_receiver') routes.forget(request.target);
    const mayHaveArrived = conversation !== undefined && !REFUSALS.has(error.code);
    if (mayHaveArrived) envelope.attempt = (envelope.attempt ?? 1) + 1;
    return error;
  }
}

function verdictOn({ code }: MembraneError): Verdict {
  return VERDICTS[code] ?? 'final';
}

/** Such words are no verdict on the message: other routes, and the mailbox, may do. */
function ofThisRoute({ kind, via }: Route, cause: unknown): unknown {
  if (kind === 'mailbox' || !isMembraneError(cause) || !WORDS_OF_STRANGERS.has(cause.code)) return cause;
  // A relay that does not know the receiver is well, and not to be spared by the messages for others.
  const code = kind === 'relay' ? 'wrong_receiver' : 'not_delivered';
  const message = `who answers at ${via.address} does not take it: ${cause.message} (${cause.code})`;
  return new MembraneError(code, message, { cause });
}

function outOfTime({ request }: Consignment, cause: MembraneError): MembraneError {
  return new MembraneError('not_delivered', `"${request.target}" was not reached in time: ${cause.message}`, {
    cause,
  });
}

async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = clock.setTimer(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, delayMs);
    const abort = (): void => {
      timer.cancel();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
  });
}
