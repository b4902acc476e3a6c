import { MembraneError } from '@membrane/protocol';
import { HandlerGroup, type Job, type MessageHandler } from './handler-group.js';
import { MessageIteration } from './message-iteration.js';
import type { KnownEnvelope, Message } from './message.js';

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

/** The handlers of a client. A message goes to those that ask for it most closely. */
export class Handlers {
  readonly #defaultConcurrency: number;
  #groups: readonly HandlerGroup[] = [];
  readonly #iterations = new Set<MessageIteration>();
  readonly #listeners = new Set<() => void>();

  constructor({ concurrency }: { concurrency: number }) {
    this.#defaultConcurrency = concurrency;
  }

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  /**
   * @returns what ends it; messages that wait for it go to other handlers, or back.
   * @throws MembraneError `invalid_request` for an option that cannot be used.
   */
  onMessage(handler: MessageHandler, options: OnMessageOptions = {}): () => void {
    const { type, stream, concurrency = this.#defaultConcurrency } = options;
    if (typeof handler !== 'function') {
      throw new MembraneError('invalid_request', `handler must be a function; got ${typeof handler}`);
    }
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw new MembraneError(
        'invalid_request',
        `concurrency must be a whole number above 0; got ${String(concurrency)}`,
      );
    }
    const known = this.#groups.find(({ wish }) => wish.type === type && wish.stream === stream);
    const group = known ?? new HandlerGroup({ type, stream });
    if (known === undefined) this.#groups = [...this.#groups, group];
    const remove = group.add(handler, concurrency);
    this.#tellChange();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      remove();
      if (group.isEmpty) this.#groups = this.#groups.filter((other) => other !== group);
      this.#tellChange();
      if (group.isEmpty) for (const job of group.clear()) this.schedule(job);
    };
  }

  messages({ type, stream, signal }: MessagesOptions = {}): AsyncIterableIterator<Message> {
    const iteration = new MessageIteration(signal);
    if (iteration.isEnded) return iteration;
    const stop = this.onMessage((message) => iteration.give(message), { type, stream, concurrency: 1 });
    this.#iterations.add(iteration);
    iteration.onEnd(() => {
      this.#iterations.delete(iteration);
      stop();
    });
    return iteration;
  }

  /** Ends the loops over messages. */
  endIterations(): void {
    for (const iteration of this.#iterations) iteration.end();
  }

  /** True where somebody asks for such messages. */
  wants(envelope: KnownEnvelope): boolean {
    return this.#find(envelope) !== undefined;
  }

  /** Runs it now, or when its turn comes; where nobody asks for such messages (any more), it is orphaned. */
  schedule(job: Job): void {
    const group = this.#find(job.envelope);
    if (group === undefined) job.orphan();
    else group.schedule(job);
  }

  /** Tells that handlers came or went. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #find(envelope: KnownEnvelope): HandlerGroup | undefined {
    let best: HandlerGroup | undefined;
    let bestFit = -1;
    for (const group of this.#groups) {
      const fit = group.fit(envelope);
      if (fit <= bestFit) continue;
      best = group;
      bestFit = fit;
    }
    return best;
  }

  #tellChange(): void {
    for (const listener of this.#listeners) listener();
  }
}
