import type { JsonValue, MembraneError } from '@membrane/protocol';
import type { HandlingResult, MessageTaker, TakeOptions } from '../../src/messaging/message-taker.js';
import type { KnownEnvelope } from '../../src/messaging/message.js';

export interface Taken {
  readonly envelope: KnownEnvelope;
  readonly options: TakeOptions;
  readonly finish: (result: HandlingResult) => void;
}

/** Takes what comes, and does with it what a test says. */
export class FakeTaker implements MessageTaker {
  readonly taken: Taken[] = [];
  readonly skipped: [string, string, number][] = [];
  /** In place of being handled at once. */
  onTake: ((taken: Taken) => void) | undefined;
  refusal: MembraneError | undefined;
  /** In place of `refusal`, by message. */
  refuse: ((envelope: KnownEnvelope) => MembraneError | undefined) | undefined;
  reply: JsonValue | undefined;
  readonly #listeners = new Set<() => void>();
  #window = 1_000;

  take(
    envelope: KnownEnvelope,
    options: TakeOptions,
    finish: (result: HandlingResult) => void,
  ): MembraneError | undefined {
    const refusal = this.refuse?.(envelope) ?? this.refusal;
    if (refusal !== undefined) return refusal;
    const taken = { envelope, options, finish };
    this.taken.push(taken);
    if (this.onTake !== undefined) this.onTake(taken);
    else finish({ outcome: 'processed', ...(this.reply === undefined ? {} : { reply: this.reply }) });
    return undefined;
  }

  skip(...skipped: [string, string, number]): void {
    this.skipped.push(skipped);
  }

  get window(): number {
    return this.#window;
  }

  set window(size: number) {
    this.#window = size;
    for (const listener of this.#listeners) listener();
  }

  onWindowChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Those who listen for its window. */
  get listeners(): number {
    return this.#listeners.size;
  }

  get payloads(): JsonValue[] {
    return this.taken.map(({ envelope }) => envelope.payload);
  }
}
