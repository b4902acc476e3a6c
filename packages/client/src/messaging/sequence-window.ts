/**
 * Within a session the sender of unordered messages never runs further ahead than that from its lowest one that is not
 * settled.
 */
export const SEQUENCE_WINDOW = 65_536;

const WORD_BITS = 32;
const FIRST_WORDS = 2;
/** A little wider than the senders' window, so that being one off costs nobody a message. */
const MAX_WORDS = SEQUENCE_WINDOW / WORD_BITS + 64;

/** Of a sequence: to be handled, handled, or so old that nothing is known of it. */
export type SequenceState = 'new' | 'done' | 'below';

/**
 * Which unordered messages of one session were handled: all up to a mark, and those above it in a ring of bits, which
 * is small until it must be larger. A message that is being handled is not in here.
 */
export class SequenceWindow {
  /** Messages that are in the inbox: as long as there are any, the window is not forgotten. */
  inProgress = 0;
  #mark = 0;
  /** Up to there the window was pushed, whether what it passed was handled or not. */
  #pushedTo = 0;
  #words = new Uint32Array(FIRST_WORDS);

  get isBusy(): boolean {
    return this.inProgress > 0;
  }

  stateOf(sequence: number): SequenceState {
    // What lies below the mark was handled, unless the window was pushed over it: then the mark says so.
    if (sequence <= this.#pushedTo) return 'below';
    if (sequence <= this.#mark) return 'done';
    return sequence <= this.#mark + this.#bits && this.#has(sequence) ? 'done' : 'new';
  }

  /** @returns false where the window has passed it, and cannot remember it. */
  markDone(sequence: number): boolean {
    if (sequence <= this.#mark) return sequence > this.#pushedTo;
    if (sequence === this.#mark + 1) this.#mark = sequence;
    else {
      this.#makeRoom(sequence);
      setBit(this.#words, sequence);
    }
    while (this.#has(this.#mark + 1)) {
      this.#mark += 1;
      this.#clear(this.#mark);
    }
    return true;
  }

  get #bits(): number {
    return this.#words.length * WORD_BITS;
  }

  #has(sequence: number): boolean {
    return ((this.#words[wordOf(this.#words, sequence)] ?? 0) & bitOf(sequence)) !== 0;
  }

  #clear(sequence: number): void {
    const word = wordOf(this.#words, sequence);
    this.#words[word] = (this.#words[word] ?? 0) & ~bitOf(sequence);
  }

  #makeRoom(sequence: number): void {
    if (sequence <= this.#mark + this.#bits) return;
    if (this.#words.length < MAX_WORDS) this.#grow(sequence);
    if (sequence > this.#mark + this.#bits) this.#push(sequence - this.#bits);
  }

  #grow(sequence: number): void {
    let length = this.#words.length;
    while (length < MAX_WORDS && sequence > this.#mark + length * WORD_BITS) length *= 2;
    const words = new Uint32Array(Math.min(length, MAX_WORDS));
    const highest = this.#mark + this.#bits;
    for (let old = this.#mark + 1; old <= highest; old += 1) {
      if (this.#has(old)) setBit(words, old);
    }
    this.#words = words;
  }

  #push(mark: number): void {
    if (mark - this.#mark >= this.#bits) this.#words.fill(0);
    else for (let passed = this.#mark + 1; passed <= mark; passed += 1) this.#clear(passed);
    this.#mark = mark;
    this.#pushedTo = mark;
  }
}

function wordOf(words: Uint32Array, sequence: number): number {
  return Math.floor(sequence / WORD_BITS) % words.length;
}

function bitOf(sequence: number): number {
  return 1 << (sequence % WORD_BITS);
}

function setBit(words: Uint32Array, sequence: number): void {
  const word = wordOf(words, sequence);
  words[word] = (words[word] ?? 0) | bitOf(sequence);
}
