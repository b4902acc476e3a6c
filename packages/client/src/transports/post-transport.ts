import {
  Agent as HttpAgent,
  request as requestHttp,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import {
  deliveryOutcomeSchema,
  fromProblem,
  isMembraneError,
  LIMITS,
  MembraneError,
  MESSAGE_PATH,
  type JsonValue,
} from '@membrane/protocol';
import { MAX_TIMER_MS, type Clock } from '../clock.js';
import { letProcessEnd } from '../let-process-end.js';
import { ProcessHold } from '../process-hold.js';
import { toMembraneError } from '../to-membrane-error.js';
import type { AddressPolicy, Dial } from './address-policy.js';
import { toEnvelopeJson } from './outgoing-json.js';
import { notDelivered } from './pending-send.js';
import { MAX_ANSWER_OVERHEAD_BYTES } from './stream-limits.js';
import type { OutgoingMessage, RouteAddress, SendHooks, Transport, TransportResult } from './transport.js';

/** Requests under way to one address; more wait for theirs. */
const MAX_SOCKETS = 64;
/** Shorter than receivers keep a connection that is not used. */
const IDLE_TIMEOUT_MS = 60_000;
const MAX_ANSWER_BYTES = LIMITS.maxMessageBytes + MAX_ANSWER_OVERHEAD_BYTES;

export interface PostTransportOptions {
  readonly clock: Clock;
  readonly addressPolicy: AddressPolicy;
  readonly maxMessageBytes?: number | undefined;
  /** False: a send under way does not keep the process alive. */
  readonly holdsProcess?: boolean | undefined;
}

/**
 * A message a request, for endpoints that speak no WebSocket. Requests overtake each other: whose messages have an
 * order sends the next one when the last is answered.
 */
export class PostTransport implements Transport {
  readonly #clock: Clock;
  readonly #policy: AddressPolicy;
  readonly #maxMessageBytes: number;
  readonly #hold: ProcessHold | undefined;
  readonly #httpAgent = letProcessEnd(
    new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_TIMEOUT_MS }),
  );
  readonly #httpsAgent = letProcessEnd(
    new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_TIMEOUT_MS }),
  );
  readonly #underWay = new Set<AbortController>();
  #isClosed = false;

  constructor({ clock, addressPolicy, maxMessageBytes, holdsProcess = true }: PostTransportOptions) {
    this.#clock = clock;
    this.#policy = addressPolicy;
    this.#maxMessageBytes = maxMessageBytes ?? LIMITS.maxMessageBytes;
    this.#hold = holdsProcess ? new ProcessHold() : undefined;
  }

  async send(
    message: OutgoingMessage,
    to: RouteAddress,
    { signal }: SendHooks = {},
  ): Promise<TransportResult> {
    signal?.throwIfAborted();
    this.#assertOpen();
    const leftMs = message.deadlineAtMs - this.#clock.monotonicMs();
    if (leftMs <= 0) throw notDelivered(to.address, 'the deadline is over');
    const limit = new AbortController();
    const abort = (): void => limit.abort();
    const timer = this.#clock.setTimer(abort, Math.min(leftMs, MAX_TIMER_MS));
    signal?.addEventListener('abort', abort, { once: true });
    this.#underWay.add(limit);
    this.#hold?.add();
    try {
      const dial = await this.#policy.findDial(to);
      return await this.#post(message, to.address, dial, limit.signal);
    } catch (error) {
      signal?.throwIfAborted();
      this.#assertOpen();
      if (limit.signal.aborted) throw notDelivered(to.address, 'no answer before the deadline', error);
      throw toMembraneError(error);
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', abort);
      this.#underWay.delete(limit);
      this.#hold?.remove();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const limit of this.#underWay) limit.abort();
    this.#httpAgent.destroy();
    this.#httpsAgent.destroy();
    await Promise.resolve();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MembraneError('client_closed', 'this client was closed');
  }

  /** Sends it again where a kept connection turns out to be dead, since the receiver may live. */
  async #post(
    message: OutgoingMessage,
    address: string,
    dial: Dial,
    signal: AbortSignal,
  ): Promise<TransportResult> {
    for (let earlierWrites = 0; ; earlierWrites += 1) {
      const body = toEnvelopeJson(message, {
        nowMs: this.#clock.monotonicMs(),
        earlierWrites,
        maxMessageBytes: this.#maxMessageBytes,
      });
      const request = this.#open(dial, body, signal);
      try {
        const response = await new Promise<IncomingMessage>((resolve, reject) => {
          request.on('response', resolve);
          request.on('error', reject);
          request.end(body);
        });
        return readAnswer(response, await readText(response), address);
      } catch (error) {
        if (isMembraneError(error)) throw error;
        const { code = '', message: reason } = error as NodeJS.ErrnoException;
        const isDeadConnection = request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(code);
        if (!isDeadConnection || earlierWrites > 0) throw notDelivered(address, reason, error);
      }
    }
  }

  #open({ url, socketPath, lookup }: Dial, body: string, signal: AbortSignal): ClientRequest {
    const isSecure = url.startsWith('https:');
    return (isSecure ? requestHttps : requestHttp)(`${url}${MESSAGE_PATH}`, {
      method: 'POST',
      agent: isSecure ? this.#httpsAgent : this.#httpAgent,
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
      signal,
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(lookup === undefined ? {} : { lookup }),
    });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('its answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Endpoints of others need not say more than that they have it. A page that is shown for every path is no such word. */
function readAnswer(response: IncomingMessage, text: string, address: string): TransportResult {
  const { statusCode: status = 0, headers } = response;
  const body = parse(text);
  if (status < 200 || status > 299) {
    const retryAfterS = Number(headers['retry-after'] ?? Number.NaN);
    const error = fromProblem(body, Number.isFinite(retryAfterS) ? retryAfterS * 1_000 : undefined);
    throw error ?? notDelivered(address, `it answered with status ${status}`);
  }
  const isEmpty = text.trim() === '';
  const answer = (typeof body === 'object' ? body : null) as Record<string, JsonValue> | null;
  if (!isEmpty && answer?.['success'] !== true) {
    throw notDelivered(address, `it is no receiver: it answered with status ${status} and something else`);
  }
  const told = deliveryOutcomeSchema.safeParse(answer?.['outcome']);
  const outcome = told.success ? told.data : status === 202 ? 'accepted' : 'processed';
  const reply = answer?.['reply'];
  return reply === undefined ? { outcome } : { outcome, reply };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
