import { giveBack } from './give-back.js';
import type { Message } from './message.js';

interface Given {
  readonly message: Message;
  readonly done: () => void;
  readonly drop: (error: Error) => void;
}

/**
 * Hands over one message at a time, from a handler to a loop: it counts as processed when the next is asked for, or the
 * loop is left. Whether the loop was left by an error cannot be told; what is not handled then is lost to it.
 */
export class MessageIteration implements AsyncIterableIterator<Message> {
  readonly #signal: AbortSignal | undefined;
  #stop: (() => void) | undefined;
  /** Came, and nobody asked for it yet. */
  #given: Given | undefined;
  /** What the loop works on. */
  #current: Given | undefined;
  readonly #asking: ((result: IteratorResult<Message>) => void)[] = [];
  #isEnded = false;
  readonly #end = (): void => this.end();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted === true) this.#isEnded = true;
    else signal?.addEventListener('abort', this.#end);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** `stop`: to be called when it ends. */
  onEnd(stop: () => void): void {
    if (this.#isEnded) stop();
    else this.#stop = stop;
  }

  /** The handler: resolves when the loop has done with it. */
  give(message: Message): Promise<void> {
    return new Promise((done, drop) => {
      const given = { message, done, drop };
      const asking = this.#asking.shift();
      if (asking === undefined) this.#given = given;
      else this.#handOver(given, asking);
    });
  }

  /** Ends the loop as soon as it has done with what it works on; what nobody asked for is given back. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#signal?.removeEventListener('abort', this.#end);
    this.#stop?.();
    this.#given?.drop(giveBack('nobody asks for messages any more'));
    for (const asking of this.#asking.splice(0)) asking({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<Message>> {
    this.#finishCurrent();
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      const given = this.#given;
      this.#given = undefined;
      if (given === undefined) this.#asking.push(resolve);
      else this.#handOver(given, resolve);
    });
  }

  return(): Promise<IteratorResult<Message>> {
    this.#finishCurrent();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #handOver(given: Given, asking: (result: IteratorResult<Message>) => void): void {
    asking({ done: false, value: given.message });
    // Who has asked for the one after it has done with this one.
    if (this.#asking.length > 0) given.done();
    else this.#current = given;
  }

  #finishCurrent(): void {
    this.#current?.done();
    this.#current = undefined;
  }
}
