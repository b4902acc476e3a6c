import type { Duplex } from 'node:stream';
import { MembraneError, messageIdSchema, type ReceiverFrame } from '@membrane/protocol';
import type { WebSocket } from 'ws';
import type { HandlingResult, MessageTaker } from '../messaging/message-taker.js';
import type { KnownEnvelope } from '../messaging/message.js';
import { newMessageId } from '../messaging/message-id.js';
import { readEnvelope } from '../messaging/read-envelope.js';
import { toMembraneError } from '../to-membrane-error.js';
import { toReplyJson } from './reply-json.js';
import { FrameWriter } from './frame-writer.js';
import { FRAME_OVERHEAD_BYTES, type ReceiverLimits } from './stream-limits.js';

/** Status codes of WebSocket (RFC 6455, section 7.4.1). */
const GOING_AWAY = 1001;
const UNSUPPORTED_DATA = 1003;
const INVALID_DATA = 1007;
const POLICY_VIOLATION = 1008;
/** Longest reason of a close frame. */
const MAX_REASON_CHARACTERS = 120;
/** Pings in a row that may stay without an answer. */
const MAX_MISSED_PINGS = 2;
/** Replies of handlers that finish after reading stopped add to what is buffered: at so many times the limit, that is the end. */
const MAX_BUFFER_FACTOR = 16;

/** A message that was taken and is not handled yet. */
interface UnderWay {
  readonly id: string;
  isDone: boolean;
}

/** One WebSocket of a sender: messages come in, what became of them goes out. */
export class ReceiverConnection {
  readonly #webSocket: WebSocket;
  readonly #writer: FrameWriter;
  readonly #taker: MessageTaker;
  readonly #limits: ReceiverLimits;
  readonly #stopWatchingWindow: () => void;
  readonly #whenQuiet = new Set<() => void>();
  #toAccept: UnderWay[] = [];
  #underWay = 0;
  #isWindowOpen: boolean;
  #missedPings = 0;
  #isClosing = false;

  constructor(webSocket: WebSocket, socket: Duplex, taker: MessageTaker, limits: ReceiverLimits) {
    this.#webSocket = webSocket;
    this.#taker = taker;
    this.#limits = limits;
    this.#writer = new FrameWriter(webSocket, socket, 'none');
    this.#isWindowOpen = taker.window > 0;
    this.#stopWatchingWindow = taker.onWindowChange(() => this.#tellWindow());
    webSocket.on('message', (data, isBinary) => this.#read(data as Buffer, isBinary));
    webSocket.on('pong', () => (this.#missedPings = 0));
    // Whatever is wrong with a frame closes the connection by the library's hand, with the code that says so.
    webSocket.on('error', () => undefined);
    webSocket.on('close', () => {
      this.#stopWatchingWindow();
      this.#tellQuiet();
    });
    socket.on('drain', () => webSocket.resume());
    this.#write({ w: taker.window });
  }

  /** Asks whether somebody is there; ends the connection where nobody answered for long. */
  checkAlive(): void {
    if (this.#missedPings >= MAX_MISSED_PINGS) {
      this.#webSocket.terminate();
      return;
    }
    this.#missedPings += 1;
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping();
  }

  /** Takes no more, waits for what is being handled, says goodbye. Resolves when the connection is gone. */
  async close(): Promise<void> {
    const { closeGraceMs } = this.#limits;
    if (this.#webSocket.readyState === this.#webSocket.CLOSED) return;
    this.#isClosing = true;
    this.#tellWindow();
    await this.#waitUntil(() => this.#underWay === 0 || this.#isGone, closeGraceMs);
    const gone = new Promise<void>((resolve) => this.#webSocket.once('close', () => resolve()));
    if (this.#isGone) return;
    const timer = setTimeout(() => this.#webSocket.terminate(), closeGraceMs).unref();
    this.#writer.flush();
    this.#webSocket.close(GOING_AWAY, 'the receiver goes');
    await gone;
    clearTimeout(timer);
  }

  get #isGone(): boolean {
    return this.#webSocket.readyState === this.#webSocket.CLOSED;
  }

  #read(data: Buffer, isBinary: boolean): void {
    this.#missedPings = 0;
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    if (isBinary) {
      this.#hangUp(UNSUPPORTED_DATA, 'frames must be text');
      return;
    }
    let frame: unknown;
    try {
      frame = JSON.parse(data.toString());
    } catch {
      this.#hangUp(INVALID_DATA, 'frames must be JSON');
      return;
    }
    if (typeof frame !== 'object' || frame === null) {
      this.#hangUp(POLICY_VIOLATION, 'frames must be objects with m or skip');
    } else if ('m' in frame) {
      this.#readMessage(frame.m, data.length - FRAME_OVERHEAD_BYTES);
    } else if ('skip' in frame) {
      this.#readSkip(frame.skip);
    } else {
      this.#hangUp(POLICY_VIOLATION, 'frames must be objects with m or skip');
    }
  }

  #readMessage(value: unknown, sizeBytes: number): void {
    let envelope;
    try {
      envelope = readEnvelope(value);
    } catch (error) {
      const id = readId(value);
      const problem = toMembraneError(error);
      if (id === undefined) this.#hangUp(POLICY_VIOLATION, problem.message);
      else this.#refuse(id, problem);
      return;
    }
    envelope.id ??= newMessageId();
    this.#take(envelope as KnownEnvelope, sizeBytes);
  }

  #take(envelope: KnownEnvelope, sizeBytes: number): void {
    const entry: UnderWay = { id: envelope.id, isDone: false };
    this.#underWay += 1;
    let refusal: MembraneError | undefined;
    try {
      refusal = this.#isClosing
        ? new MembraneError('client_closed', 'the receiver goes')
        : this.#taker.take(envelope, { sizeBytes, isKept: false }, (result) => this.#finish(entry, result));
    } catch (error) {
      refusal = toMembraneError(error);
    }
    if (refusal !== undefined) {
      this.#end(entry);
      this.#refuse(entry.id, refusal);
    } else if (!entry.isDone) {
      if (this.#toAccept.length === 0) setImmediate(() => this.#accept());
      this.#toAccept.push(entry);
    }
    if (this.#isWindowOpen && this.#taker.window <= 0) this.#tellWindow();
  }

  /** After the turn of the event loop in which they came: for a handler that is as quick as that, one answer will do. */
  #accept(): void {
    const entries = this.#toAccept;
    this.#toAccept = [];
    for (const { id, isDone } of entries) if (!isDone) this.#writeText(`{"a":"${id}","o":"accepted"}`);
  }

  #finish(entry: UnderWay, result: HandlingResult): void {
    if (entry.isDone) return;
    this.#end(entry);
    const { id } = entry;
    if (result.outcome === 'failed') {
      this.#refuse(id, result.error);
    } else if (result.outcome === 'processed' && result.reply !== undefined) {
      try {
        const reply = toReplyJson(result.reply, this.#limits.maxMessageBytes);
        this.#writeText(`{"a":"${id}","o":"processed","r":${reply}}`);
      } catch (error) {
        this.#refuse(id, error as MembraneError);
      }
    } else {
      this.#writeText(`{"a":"${id}","o":"${result.outcome}"}`);
    }
  }

  #end(entry: UnderWay): void {
    if (entry.isDone) return;
    entry.isDone = true;
    this.#underWay -= 1;
    if (this.#underWay === 0 && this.#whenQuiet.size > 0) this.#tellQuiet();
  }

  #refuse(id: string, { code, message, details: { retryAfterMs } }: MembraneError): void {
    this.#write({ e: id, c: code, d: message, ...(retryAfterMs === undefined ? {} : { t: retryAfterMs }) });
  }

  #readSkip(value: unknown): void {
    const { session, stream, sequence } = (value ?? {}) as Record<string, unknown>;
    if (typeof session !== 'string' || typeof stream !== 'string' || !Number.isSafeInteger(sequence)) {
      this.#hangUp(POLICY_VIOLATION, 'skip must have session, stream and sequence');
      return;
    }
    this.#taker.skip(session, stream, sequence as number);
  }

  /** How many of this connection may be under way, when it begins or ceases to be none. */
  #tellWindow(): void {
    const room = this.#isClosing ? 0 : this.#taker.window;
    const isOpen = room > 0;
    if (isOpen === this.#isWindowOpen) return;
    this.#isWindowOpen = isOpen;
    this.#write({ w: isOpen ? room + this.#underWay : 0 });
  }

  #write(frame: ReceiverFrame): void {
    this.#writeText(JSON.stringify(frame));
  }

  #writeText(text: string): void {
    this.#writer.write(text);
    const { bufferedBytes } = this.#writer;
    const { maxBufferedBytes } = this.#limits;
    if (bufferedBytes <= maxBufferedBytes) return;
    if (bufferedBytes > maxBufferedBytes * MAX_BUFFER_FACTOR) this.#webSocket.terminate();
    else this.#webSocket.pause();
  }

  #hangUp(code: number, reason: string): void {
    this.#writer.flush();
    this.#webSocket.close(code, reason.slice(0, MAX_REASON_CHARACTERS).replace(/[^ -~]/g, '?'));
  }

  async #waitUntil(isReached: () => boolean, timeoutMs: number): Promise<void> {
    if (isReached()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs).unref();
      this.#whenQuiet.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#whenQuiet.clear();
  }

  #tellQuiet(): void {
    for (const listener of this.#whenQuiet) listener();
  }
}

/** The id of a message that is wrong otherwise. */
function readId(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('id' in value)) return undefined;
  const id = messageIdSchema.safeParse(value.id);
  return id.success ? id.data : undefined;
}
