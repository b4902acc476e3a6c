import type { IncomingMessage } from 'node:http';
import { createConnection, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import {
  fromProblem,
  isErrorCode,
  isMembraneError,
  LIMITS,
  MembraneError,
  MESSAGE_SUBPROTOCOL,
  type DeliveryOutcome,
  type JsonValue,
} from '@membrane/protocol';
import { WebSocket } from 'ws';
import type { Clock, Timer } from '../clock.js';
import type { Dial } from './address-policy.js';
import { FrameWriter } from './frame-writer.js';
import { MAX_ANSWER_OVERHEAD_BYTES } from './stream-limits.js';

/** Pings in a row that may stay without an answer. */
const MAX_MISSED_PINGS = 2;
const CLOSE_TIMEOUT_MS = 1_000;
/** Of a problem document that refuses the upgrade. */
const MAX_PROBLEM_BYTES = 64 * 1024;
/** What a proxy says whose own way on is broken: no word about WebSockets. */
const GATEWAY_FAILURES = [502, 503, 504];
/** What the library says of one who upgrades to something else. */
const WRONG_UPGRADE = /subprotocol|Sec-WebSocket|Upgrade header/;
const NORMAL_CLOSURE = 1000;
const POLICY_VIOLATION = 1008;

/** Why a link is not, or no longer, there. */
export type LinkEnd =
  /** Whoever answers there speaks HTTP, and no WebSocket of ours. */
  | { readonly kind: 'no-web-socket'; readonly reason: string }
  /** The receiver said why it takes no messages. */
  | { readonly kind: 'refused'; readonly error: MembraneError }
  | {
      readonly kind: 'broken';
      readonly reason: string;
      readonly cause?: unknown;
      readonly closeCode?: number;
    };

export interface LinkListener {
  /** How many messages may be under way. The first call says that the link is open. */
  onWindow(size: number): void;
  onAccepted(id: string): void;
  onDone(id: string, outcome: DeliveryOutcome, reply: JsonValue | undefined): void;
  onRefused(id: string, error: MembraneError): void;
  /** What was written before was taken by the system, after `bufferedBytes` had been high. */
  onDrain(): void;
  /** Once, and the last call. Not after `close()`. */
  onEnd(end: LinkEnd): void;
}

export interface LinkOptions {
  readonly clock: Clock;
  /** Until the receiver's first frame. */
  readonly connectTimeoutMs: number;
}

/** A WebSocket to a receiver. Its socket does not keep the process alive. */
export class StreamLink {
  readonly #webSocket: WebSocket;
  readonly #listener: LinkListener;
  readonly #connectTimer: Timer;
  #writer: FrameWriter | undefined;
  #lastError: Error | undefined;
  #isOpen = false;
  #hasEnded = false;
  #missedPings = 0;

  constructor(dial: Dial, listener: LinkListener, { clock, connectTimeoutMs }: LinkOptions) {
    this.#listener = listener;
    const webSocket = new WebSocket(dial.url, [MESSAGE_SUBPROTOCOL], {
      perMessageDeflate: false,
      maxPayload: LIMITS.maxMessageBytes + MAX_ANSWER_OVERHEAD_BYTES,
      createConnection: ((options: object) => connect(dial, options)) as never,
      // The types do not know it yet.
      ...({ closeTimeout: CLOSE_TIMEOUT_MS } as object),
    });
    this.#webSocket = webSocket;
    this.#connectTimer = clock.setTimer(() => {
      this.#end({ kind: 'broken', reason: `no answer within ${connectTimeoutMs} ms` });
      webSocket.terminate();
    }, connectTimeoutMs);
    webSocket.on('upgrade', ({ socket }) => {
      this.#writer = new FrameWriter(webSocket, socket, dial.socketPath === undefined ? 'random' : 'zero');
      socket.on('drain', () => {
        if (!this.#hasEnded) listener.onDrain();
      });
    });
    webSocket.on('unexpected-response', (request, response) => {
      void readRefusal(response).then((end) => {
        this.#end(end);
        request.destroy();
      });
    });
    webSocket.on('message', (data) => this.#read(data as Buffer));
    webSocket.on('pong', () => (this.#missedPings = 0));
    webSocket.on('error', (error) => {
      this.#lastError = error;
      if (isMembraneError(error)) this.#end({ kind: 'refused', error });
      if (!this.#isOpen && WRONG_UPGRADE.test(error.message)) {
        this.#end({ kind: 'no-web-socket', reason: error.message });
      }
    });
    webSocket.on('close', (closeCode, reason) => this.#onClose(closeCode, reason.toString()));
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#webSocket.readyState === WebSocket.OPEN;
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#writer?.bufferedBytes ?? 0;
  }

  write(text: string): void {
    this.#writer?.write(text);
  }

  /** Does not wait for others of the same turn. */
  writeNow(text: string): void {
    this.#writer?.writeNow(text);
  }

  /** Asks whether the receiver is there; ends the link where nothing came for long. */
  checkAlive(): void {
    if (!this.isOpen) return;
    if (this.#missedPings >= MAX_MISSED_PINGS) {
      this.#end({ kind: 'broken', reason: 'the receiver is silent' });
      this.#webSocket.terminate();
      return;
    }
    this.#missedPings += 1;
    this.#webSocket.ping();
  }

  /** Says goodbye. */
  close(): void {
    this.#hasEnded = true;
    this.#connectTimer.cancel();
    if (this.#webSocket.readyState === WebSocket.CONNECTING) this.#webSocket.terminate();
    else {
      this.#writer?.flush();
      this.#webSocket.close(NORMAL_CLOSURE);
    }
  }

  #read(data: Buffer): void {
    this.#missedPings = 0;
    if (this.#hasEnded) return;
    const listener = this.#listener;
    const processed = readProcessed(data);
    if (processed !== undefined) {
      listener.onDone(processed, 'processed', undefined);
      return;
    }
    const frame = parseFrame(data);
    if (frame === undefined) {
      this.#webSocket.close(POLICY_VIOLATION, 'this is no answer of a receiver');
    } else if (frame.a !== undefined) {
      if (frame.o === 'accepted') listener.onAccepted(frame.a);
      else listener.onDone(frame.a, frame.o ?? 'processed', frame.r);
    } else if (frame.e !== undefined) {
      listener.onRefused(frame.e, toError(frame));
    } else if (frame.w !== undefined) {
      this.#isOpen = true;
      this.#connectTimer.cancel();
      listener.onWindow(frame.w);
    }
  }

  #onClose(closeCode: number, said: string): void {
    const error = this.#lastError;
    const reason = said || error?.message || 'the connection was lost';
    this.#end({ kind: 'broken', reason, closeCode, ...(error === undefined ? {} : { cause: error }) });
  }

  #end(end: LinkEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#connectTimer.cancel();
    this.#listener.onEnd(end);
  }
}

interface AnswerFrame {
  readonly w?: number;
  readonly a?: string;
  readonly o?: DeliveryOutcome;
  readonly r?: JsonValue;
  readonly e?: string;
  readonly c?: string;
  readonly d?: string;
  readonly t?: number;
}

const OUTCOMES: readonly unknown[] = ['queued', 'accepted', 'processed'];

const PROCESSED_START = '{"a":"';
const PROCESSED_END = '","o":"processed"}';
const MAX_PROCESSED_BYTES = PROCESSED_START.length + LIMITS.maxMessageNameLength + PROCESSED_END.length;

/** The id in the answer that is by far the most frequent, as our receivers write it: ids have nothing that JSON escapes. */
function readProcessed(data: Buffer): string | undefined {
  if (data.length > MAX_PROCESSED_BYTES) return undefined;
  const text = data.toString('latin1');
  if (!text.startsWith(PROCESSED_START) || !text.endsWith(PROCESSED_END)) return undefined;
  const id = text.slice(PROCESSED_START.length, -PROCESSED_END.length);
  // Others may have more fields in between.
  return id.includes('"') ? undefined : id;
}

/** Undefined where it is no frame; one of a kind that is not known has none of the fields that count. */
function parseFrame(data: Buffer): AnswerFrame | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(data.toString());
  } catch {
    return undefined;
  }
  if (typeof frame !== 'object' || frame === null) return undefined;
  const { w, a, o, e } = frame as Record<string, unknown>;
  const isRight =
    (w === undefined || (Number.isSafeInteger(w) && (w as number) >= 0)) &&
    (a === undefined || (typeof a === 'string' && OUTCOMES.includes(o))) &&
    (e === undefined || typeof e === 'string');
  return isRight ? frame : undefined;
}

function toError({ c, d, t }: AnswerFrame): MembraneError {
  const detail = typeof d === 'string' ? d : 'the receiver refused it';
  const details = typeof t === 'number' && t >= 0 ? { retryAfterMs: t } : {};
  if (isErrorCode(c)) return new MembraneError(c, detail, { details });
  return new MembraneError('not_delivered', `${detail} (${String(c)})`, { details });
}

/** Where to, in a way that no path or name of the address can change. */
function connect({ socketPath, lookup, url }: Dial, options: object): Socket {
  if (socketPath !== undefined) return createConnection({ path: socketPath }).unref();
  const target = { ...options, path: undefined, ...(lookup === undefined ? {} : { lookup }) };
  if (new URL(url).protocol !== 'https:')
    return createConnection(target as unknown as NetConnectOpts).unref();
  return connectTls(target as ConnectionOptions).unref();
}

async function readRefusal(response: IncomingMessage): Promise<LinkEnd> {
  const status = response.statusCode ?? 0;
  let text = '';
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      text += chunk.toString();
      if (text.length > MAX_PROBLEM_BYTES) break;
    }
    const retryAfterS = Number(response.headers['retry-after'] ?? Number.NaN);
    const error = fromProblem(
      JSON.parse(text),
      Number.isFinite(retryAfterS) ? retryAfterS * 1_000 : undefined,
    );
    // So a receiver says behind a proxy that has taken the upgrade out; POST gets through.
    if (error?.code === 'method_not_allowed') return { kind: 'no-web-socket', reason: error.message };
    if (error !== undefined) return { kind: 'refused', error };
  } catch {
    // Then it is no receiver's answer.
  }
  const reason = `it answered with status ${status}`;
  return GATEWAY_FAILURES.includes(status) ? { kind: 'broken', reason } : { kind: 'no-web-socket', reason };
}
