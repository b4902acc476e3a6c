import { MembraneError } from '@membrane/protocol';
import type { KnownEnvelope, Message } from './message.js';

/** Handles a message. What it returns, if it is JSON, is the reply; where it throws, the message is tried again. */
export type MessageHandler = (message: Message) => unknown;

export interface OnMessageOptions {
  /** Only messages of this type. */
  type?: string | undefined;
  /** Only messages of this stream. */
  stream?: string | undefined;
  /** Messages that it handles at once. Those of one stream come one at a time, whatever it says. */
  concurrency?: number | undefined;
}

export interface MessagesOptions {
  type?: string | undefined;
  stream?: string | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
}

/** Work that waits for its turn at a handler. */
export interface Job {
  readonly envelope: KnownEnvelope;
  /** Calls back when it is over. */
  run(handler: MessageHandler, onOver: () => void): void;
  /** Its handler is gone. */
  orphan(): void;
}

/** One handler with what it wants, and its turns. */
export class Subscription {
  readonly #handler: MessageHandler;
  readonly #options: OnMessageOptions;
  readonly #concurrency: number;
  #waiting: Job[] = [];
  #running = 0;

  constructor(handler: MessageHandler, options: OnMessageOptions, concurrency: number) {
    this.#handler = handler;
    this.#options = options;
    this.#concurrency = concurrency;
  }

  /** How closely it asks for such messages; -1: not at all. A type tells more than a stream. */
  fit({ type, stream }: KnownEnvelope): number {
    const wanted = this.#options;
    if (wanted.type !== undefined && wanted.type !== type) return -1;
    if (wanted.stream !== undefined && wanted.stream !== stream) return -1;
    return (wanted.type === undefined ? 0 : 2) + (wanted.stream === undefined ? 0 : 1);
  }

  schedule(job: Job): void {
    if (this.#running >= this.#concurrency) this.#waiting.push(job);
    else this.#start(job);
  }

  /** Takes back what has not begun. */
  close(): void {
    const orphans = this.#waiting;
    this.#waiting = [];
    for (const job of orphans) job.orphan();
  }

  #start(job: Job): void {
    this.#running += 1;
    job.run(this.#handler, () => {
      this.#running -= 1;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#start(next);
    });
  }
}

/** The handlers of a client. A message goes to the one that asks for it most closely; among equals they take turns. */
export class Handlers {
  readonly #defaultConcurrency: number;
  #subscriptions: readonly Subscription[] = [];
  readonly #listeners = new Set<() => void>();
  #turn = 0;

  constructor({ concurrency }: { concurrency: number }) {
    this.#defaultConcurrency = concurrency;
  }

  get isEmpty(): boolean {
    return this.#subscriptions.length === 0;
  }

  /**
   * @returns what ends it; messages that wait for it go to other handlers, or back.
   * @throws MembraneError `invalid_request` for an option that cannot be used.
   */
  onMessage(handler: MessageHandler, options: OnMessageOptions = {}): () => void {
    const { concurrency = this.#defaultConcurrency } = options;
    if (typeof handler !== 'function') {
      throw new MembraneError('invalid_request', `handler must be a function; got ${typeof handler}`);
    }
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw new MembraneError(
        'invalid_request',
        `concurrency must be a whole number above 0; got ${String(concurrency)}`,
      );
    }
    const subscription = new Subscription(handler, options, concurrency);
    this.#change([...this.#subscriptions, subscription]);
    return () => {
      if (!this.#subscriptions.includes(subscription)) return;
      this.#change(this.#subscriptions.filter((other) => other !== subscription));
      subscription.close();
    };
  }

  /**
   * One message at a time: it counts as processed when the next is asked for, or the loop is left. Whether the loop was
   * left by an error cannot be told; what is not handled then is lost to it.
   */
  messages({ type, stream, signal }: MessagesOptions = {}): AsyncIterableIterator<Message> {
    const slot = new MessageSlot();
    const stop = this.onMessage((message) => slot.give(message), { type, stream, concurrency: 1 });
    return iterate(slot, stop, signal);
  }

  /** True where somebody asks for such messages. */
  wants(envelope: KnownEnvelope): boolean {
    return this.#subscriptions.some((subscription) => subscription.fit(envelope) >= 0);
  }

  find(envelope: KnownEnvelope): Subscription | undefined {
    const [only, second] = this.#subscriptions;
    if (second === undefined) return only !== undefined && only.fit(envelope) >= 0 ? only : undefined;
    const fits = this.#subscriptions.map((subscription) => subscription.fit(envelope));
    const best = Math.max(...fits);
    if (best < 0) return undefined;
    const equals = this.#subscriptions.filter((_, index) => fits[index] === best);
    this.#turn = (this.#turn + 1) % equals.length;
    return equals[this.#turn];
  }

  /** Tells that handlers came or went. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #change(subscriptions: readonly Subscription[]): void {
    this.#subscriptions = subscriptions;
    for (const listener of this.#listeners) listener();
  }
}

/** Hands over one message at a time, from a handler to a loop. */
class MessageSlot {
  #given: { message: Message; done: () => void; drop: (error: Error) => void } | undefined;
  #wake = (): void => undefined;

  /** Resolves when the loop has done with it. */
  give(message: Message): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#given = { message, done: resolve, drop: reject };
      this.#wake();
    });
  }

  take(): { message: Message; done: () => void } | undefined {
    const given = this.#given;
    this.#given = undefined;
    return given;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  wake(): void {
    this.#wake();
  }

  /** Gives back what nobody took. */
  close(): void {
    this.#given?.drop(new MembraneError('no_handler', 'nobody asks for messages any more'));
  }
}

async function* iterate(
  slot: MessageSlot,
  stop: () => void,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<Message> {
  const wake = (): void => slot.wake();
  signal?.addEventListener('abort', wake);
  try {
    while (signal?.aborted !== true) {
      const taken = slot.take();
      if (taken === undefined) {
        await slot.wait();
        continue;
      }
      try {
        yield taken.message;
      } finally {
        taken.done();
      }
    }
  } finally {
    signal?.removeEventListener('abort', wake);
    stop();
    slot.close();
  }
}
