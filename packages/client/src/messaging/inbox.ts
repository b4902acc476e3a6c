import { MembraneError, messageKey, type JsonValue } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../clock.js';
import { isGivenBack } from './give-back.js';
import type { Job, MessageHandler } from './handler-group.js';
import type { Handlers } from './handlers.js';
import type { HandlingResult, MessageTaker, TakeOptions } from './message-taker.js';
import { toMessage, type KnownEnvelope } from './message.js';
import type { OrderedStream } from './ordered-stream.js';
import { retryDelayMs } from './retry-delay.js';
import type { SequenceWindow } from './sequence-window.js';
import { SessionBook } from './session-book.js';

/** Ids that are remembered of messages without a session. */
const MAX_FOREIGN_IDS = 10_000;
/** Replies that are remembered, for those who ask once more. */
const MAX_REPLIES = 1_000;
const MAX_REPLY_BYTES = 16 * 1024 * 1024;
/** Who waits for the end of one message: it was sent so often, on several ways, before it was handled. */
const MAX_CALLBACKS = 16;
/** Of its limits, beyond them: for messages that others wait for here. */
const RESERVE = 0.1;
/** When a sender may try a full inbox again. */
const FULL_RETRY_MS = 100;

export interface InboxLimits {
  readonly maxInboxMessages: number;
  readonly maxInboxBytes: number;
  /** Tries of a message that its source keeps. */
  readonly handlerTries: number;
}

export interface InboxParts {
  readonly handlers: Handlers;
  readonly limits: InboxLimits;
  readonly clock: Clock;
  readonly random: () => number;
}

interface Entry {
  readonly key: string;
  readonly envelope: KnownEnvelope;
  readonly sizeBytes: number;
  /** True where one of its sources keeps it. */
  isKept: boolean;
  readonly sequence: number;
  readonly takenAtMs: number;
  readonly expiresAtMs: number;
  /** Whoever brought it wants to know what became of it. */
  readonly callbacks: ((result: HandlingResult) => void)[];
  readonly stream: OrderedStream<Entry> | undefined;
  readonly window: SequenceWindow | undefined;
  failures: number;
  isRunning: boolean;
  retry: Timer | undefined;
}

/**
 * The messages of a client that have arrived and are not handled yet: a bounded number, each handled once, those of a
 * stream in their order. What was handled is remembered by its number, so that a repeat is answered and not handled.
 */
export class Inbox implements MessageTaker {
  readonly #parts: InboxParts;
  readonly #sessions: SessionBook<Entry>;
  // By size in place of number: it would set room for the whole number aside at once.
  readonly #foreign = new LRUCache<string, true>({ maxSize: MAX_FOREIGN_IDS, sizeCalculation: () => 1 });
  readonly #replies = new LRUCache<string, { reply: JsonValue }>({ maxSize: MAX_REPLY_BYTES });
  /** By what tells one message from all others. */
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<() => void>();
  #bytes = 0;
  #isClosed = false;
  #onEmpty: (() => void) | undefined;

  constructor(parts: InboxParts) {
    this.#parts = parts;
    this.#sessions = new SessionBook({ clock: parts.clock, begin: (entry) => this.#dispatch(entry) });
    parts.handlers.onChange(() => this.#tellWindow());
  }

  get window(): number {
    const { handlers, limits } = this.#parts;
    if (this.#isClosed || handlers.isEmpty || this.#bytes >= limits.maxInboxBytes) return 0;
    return Math.max(0, limits.maxInboxMessages - this.#entries.size);
  }

  onWindowChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  take(
    envelope: KnownEnvelope,
    { sizeBytes, isKept }: TakeOptions,
    onDone: (result: HandlingResult) => void,
  ): MembraneError | undefined {
    if (this.#isClosed) return new MembraneError('client_closed', 'the receiver is closing');
    const key = messageKey(envelope);
    const known = this.#entries.get(key);
    if (known !== undefined) return join(known, isKept, onDone);
    const { session, stream: streamName, sequence, floor } = envelope;
    let stream: OrderedStream<Entry> | undefined;
    let window: SequenceWindow | undefined;
    if (session != null && sequence != null) {
      // Whatever its sender says, it waits for none behind it.
      const first = Math.min(floor ?? sequence, sequence);
      if (streamName != null) stream = this.#sessions.stream(session, streamName, first);
      else window = this.#sessions.window(session);
    }
    const isDone = this.#isDone(envelope, key, stream, window);
    if (isDone === true) {
      onDone(this.#repeat(key));
      return undefined;
    }
    if (isDone !== false) return isDone;
    const refusal = this.#findRefusal(envelope, sizeBytes, stream);
    if (refusal !== undefined) return refusal;
    const takenAtMs = this.#parts.clock.monotonicMs();
    const entry: Entry = {
      key,
      envelope,
      sizeBytes,
      isKept,
      sequence: sequence ?? 0,
      takenAtMs,
      expiresAtMs: envelope.ttl_ms == null ? Number.POSITIVE_INFINITY : takenAtMs + envelope.ttl_ms,
      callbacks: [onDone],
      stream,
      window,
      failures: 0,
      isRunning: false,
      retry: undefined,
    };
    this.#entries.set(key, entry);
    this.#bytes += sizeBytes;
    if (window !== undefined) window.inProgress += 1;
    if (this.window === 0) this.#tellWindow();
    if (stream === undefined) this.#dispatch(entry);
    else {
      if (floor != null) stream.raiseFloor(Math.min(floor, entry.sequence));
      stream.hold(entry);
    }
    return undefined;
  }

  skip(session: string, stream: string, sequence: number): void {
    // Those before it may still come: only that one will not.
    this.#sessions.known(session, stream)?.skip(sequence);
  }

  /** Takes nothing more, gives back what has not begun, and waits for handlers that run, so long at most. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    this.#tellWindow();
    for (const entry of [...this.#entries.values()]) {
      if (!entry.isRunning) this.#settle(entry, closing());
    }
    if (this.#entries.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** True, false, or why nobody can tell, or that it comes too late. */
  #isDone(
    envelope: KnownEnvelope,
    key: string,
    stream: OrderedStream<Entry> | undefined,
    window: SequenceWindow | undefined,
  ): boolean | MembraneError {
    const { sequence, attempt, stream: name } = envelope;
    if (stream !== undefined) {
      const state = stream.stateOf(sequence ?? 0);
      if (state === 'new' || state === 'done') return state === 'done';
      const why =
        state === 'late' ? 'those behind it were handled already' : 'another message has its number';
      return new MembraneError(
        'out_of_order',
        `message ${String(sequence)} of stream "${String(name)}": ${why}`,
      );
    }
    if (window === undefined) return this.#foreign.has(key);
    const state = window.stateOf(sequence ?? 0);
    if (state !== 'below') return state === 'done';
    if (this.#foreign.has(key)) return true;
    if ((attempt ?? 1) <= 1) return false;
    return new MembraneError('out_of_order', 'it is so old that nobody knows whether it was handled');
  }

  #repeat(key: string): HandlingResult {
    const reply = this.#replies.get(key);
    return reply === undefined ? { outcome: 'processed' } : { outcome: 'processed', ...reply };
  }

  #findRefusal(
    envelope: KnownEnvelope,
    sizeBytes: number,
    stream: OrderedStream<Entry> | undefined,
  ): MembraneError | undefined {
    const { handlers, limits } = this.#parts;
    if (envelope.ttl_ms != null && envelope.ttl_ms <= 0) return expired();
    if (!handlers.wants(envelope)) return noHandler(envelope);
    const isFull = (factor: number): boolean =>
      this.#entries.size >= limits.maxInboxMessages * factor ||
      (this.#entries.size > 0 && this.#bytes + sizeBytes > limits.maxInboxBytes * factor);
    if (!isFull(1)) return undefined;
    // Those that others wait for here get in, or these would hold the room that they need.
    const need = stream?.need(envelope.sequence ?? 0) ?? 'none';
    if (need === 'next' || (need === 'later' && !isFull(1 + RESERVE))) return undefined;
    return new MembraneError('inbox_full', `${this.#entries.size} messages wait to be handled`, {
      details: { retryAfterMs: FULL_RETRY_MS },
    });
  }

  #dispatch(entry: Entry): void {
    const job: Job = {
      envelope: entry.envelope,
      run: (handler, onOver) => this.#run(entry, handler, onOver),
      orphan: () => this.#settle(entry, { outcome: 'failed', error: noHandler(entry.envelope) }),
    };
    this.#parts.handlers.schedule(job);
  }

  #run(entry: Entry, handler: MessageHandler, onOver: () => void): void {
    // It was given back while it waited.
    if (this.#entries.get(entry.key) !== entry) {
      onOver();
      return;
    }
    if (entry.expiresAtMs <= this.#parts.clock.monotonicMs()) {
      this.#settle(entry, { outcome: 'failed', error: expired() });
      onOver();
      return;
    }
    entry.isRunning = true;
    const end = (work: () => void): void => {
      entry.isRunning = false;
      work();
      onOver();
    };
    try {
      const returned = handler(toMessage(entry.envelope));
      if (isThenable(returned)) {
        returned.then(
          (value: unknown) => end(() => this.#succeed(entry, value)),
          (error: unknown) => end(() => this.#fail(entry, error)),
        );
      } else end(() => this.#succeed(entry, returned));
    } catch (error) {
      end(() => this.#fail(entry, error));
    }
  }

  #succeed(entry: Entry, value: unknown): void {
    if (value === undefined) {
      this.#settle(entry, { outcome: 'processed' });
      return;
    }
    const sizeOrFault = measureReply(value);
    if (typeof sizeOrFault === 'string') {
      this.#fail(entry, new Error(`the handler returned ${sizeOrFault}, which is no JSON`));
    } else {
      const reply = value as JsonValue;
      const size = Math.max(sizeOrFault, Math.ceil(MAX_REPLY_BYTES / MAX_REPLIES));
      this.#replies.set(entry.key, { reply }, { size });
      this.#settle(entry, { outcome: 'processed', reply });
    }
  }

  #fail(entry: Entry, cause: unknown): void {
    const { limits, clock, random } = this.#parts;
    if (isGivenBack(cause)) {
      this.#settle(entry, { outcome: 'failed', error: cause });
      return;
    }
    entry.failures += 1;
    if (entry.isKept && entry.failures < limits.handlerTries && !this.#isClosed) {
      const waitMs = retryDelayMs(entry.failures, undefined, random);
      entry.retry = clock.setTimer(() => this.#dispatch(entry), waitMs);
      return;
    }
    // Of what it threw the sender learns the words alone.
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#settle(entry, { outcome: 'failed', error: new MembraneError('handler_failed', message) });
  }

  #settle(entry: Entry, result: HandlingResult): void {
    const { key } = entry;
    if (this.#entries.get(key) !== entry) return;
    const wasOpen = this.window > 0;
    entry.retry?.cancel();
    this.#entries.delete(key);
    this.#bytes -= entry.sizeBytes;
    if (entry.window !== undefined) entry.window.inProgress -= 1;
    if (result.outcome === 'processed') this.#remember(entry);
    for (const callback of entry.callbacks) callback(result);
    if (entry.stream !== undefined) this.#finishInStream(entry, entry.stream, result);
    if (!wasOpen && this.window > 0) this.#tellWindow();
    if (this.#entries.size === 0) this.#onEmpty?.();
  }

  #finishInStream(entry: Entry, stream: OrderedStream<Entry>, result: HandlingResult): void {
    // Those behind one that comes again must come again too: they would wait for it here in vain.
    const behind = isForLater(result) ? stream.clear() : [];
    stream.finish(entry, outcomeFor(entry, result));
    for (const held of behind) this.#settle(held, result);
  }

  #remember({ key, window, stream, sequence }: Entry): void {
    if (stream === undefined && window?.markDone(sequence) !== true) this.#foreign.set(key, true);
  }

  #tellWindow(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Waits for the same end as those that brought the message before. */
function join(
  entry: Entry,
  isKept: boolean,
  onDone: (result: HandlingResult) => void,
): MembraneError | undefined {
  if (entry.callbacks.length >= MAX_CALLBACKS) {
    return new MembraneError(
      'inbox_full',
      `message "${entry.envelope.id}" came so often that it has to wait`,
      {
        details: { retryAfterMs: FULL_RETRY_MS },
      },
    );
  }
  entry.callbacks.push(onDone);
  entry.isKept ||= isKept;
  return undefined;
}

/** Whether its sources were told that nobody is there now: they bring it again. */
function isForLater(result: HandlingResult): boolean {
  return (
    result.outcome === 'failed' &&
    (result.error.code === 'no_handler' || result.error.code === 'client_closed')
  );
}

/** Whether the place of a message in its stream is passed. */
function outcomeFor(entry: Entry, result: HandlingResult): 'handled' | 'given-up' | 'may-come-again' {
  if (result.outcome !== 'failed') return 'handled';
  if (isForLater(result)) return 'may-come-again';
  if (result.error.code === 'expired') return 'given-up';
  return entry.isKept ? 'given-up' : 'may-come-again';
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Its size, roughly in bytes of JSON; a text where JSON cannot carry it: what it is. */
function measureReply(value: unknown): number | string {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value === 'number' || typeof value === 'boolean') return 8;
  if (typeof value !== 'object') return `a ${typeof value}`;
  try {
    return (JSON.stringify(value) as string | undefined)?.length ?? 'an object without a form in JSON';
  } catch (error) {
    return error instanceof Error ? `an object (${error.message.split('\n')[0] ?? ''})` : 'an object';
  }
}

function expired(): MembraneError {
  return new MembraneError('expired', 'its time was over before it was handled');
}

function noHandler({ type }: KnownEnvelope): MembraneError {
  const what = type == null ? 'messages without a type' : `messages of type "${type}"`;
  return new MembraneError('no_handler', `nobody handles ${what} here now`);
}

function closing(): HandlingResult {
  return { outcome: 'failed', error: new MembraneError('client_closed', 'the receiver is closing') };
}
