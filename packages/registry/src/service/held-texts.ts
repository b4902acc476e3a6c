/** What is left when room was made, as a part of the limit: not to be short of it again at once. */
const LEFT = 0.75;

/** Somebody for whom texts wait. */
export interface TextHolder {
  readonly heldBytes: number;
  /** Gives up everything that waits for it. */
  drop(): void;
}

/** What waits for all watchers together, bounded. A text that waits for several is one, and counts once. */
export class HeldTexts {
  readonly #maxBytes: number;
  readonly #holders = new Set<TextHolder>();
  /** How many each waits for. */
  readonly #texts = new Map<Buffer, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The text waits for the holder from now on. Where that is too much, those who hold the most give up theirs. */
  add(holder: TextHolder, text: Buffer): void {
    this.#holders.add(holder);
    const count = this.#texts.get(text) ?? 0;
    this.#texts.set(text, count + 1);
    if (count === 0) this.#bytes += text.length;
    if (this.#bytes > this.#maxBytes) this.#makeRoom();
  }

  /** The texts wait for the holder no more. */
  remove(holder: TextHolder, texts: readonly Buffer[]): void {
    for (const text of texts) {
      const count = this.#texts.get(text) ?? 0;
      if (count > 1) this.#texts.set(text, count - 1);
      else if (this.#texts.delete(text)) this.#bytes -= text.length;
    }
    if (holder.heldBytes === 0) this.#holders.delete(holder);
  }

  #makeRoom(): void {
    const largestFirst = [...this.#holders].sort((one, other) => other.heldBytes - one.heldBytes);
    for (const holder of largestFirst) {
      if (this.#bytes <= this.#maxBytes * LEFT) return;
      holder.drop();
    }
  }
}
