import type { EarlierRuns } from './sequence-ledger.js';

/** A place that keeps messages until they are collected: a directory, or the mailbox. */
export type KeptPlace = string;

interface KeptSpan {
  lowest: number;
  highest: number;
}

/** The numbers of one stream of messages, and which of them may still come. */
class StreamNumbers {
  #last = 0;
  /** Under way, ascending. */
  readonly #open = new Set<number>();
  /** Handed to a place that keeps them, and not known to be handled. */
  readonly #kept = new Map<KeptPlace, KeptSpan>();

  /** What may lie somewhere of earlier runs: nobody knows where, nor how much. */
  #earlier: EarlierRuns | undefined;

  constructor(earlier: EarlierRuns | undefined) {
    this.#earlier = earlier;
  }

  begin(): number {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  /** One that was numbered in an earlier run of the process. */
  resume(sequence: number): void {
    this.#last = Math.max(this.#last, sequence);
    this.#open.add(sequence);
  }

  /** How far the numbers have run ahead of the first that is under way. */
  get lead(): number {
    const [first] = this.#open;
    return first === undefined ? 0 : this.#last - first;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /**
   * The lowest number that may still come beside the one that goes to `place`: what lies there before it comes before
   * it by itself.
   */
  floor(sequence: number, place: KeptPlace | undefined): number {
    if (this.#earlier !== undefined) {
      if (Date.now() < this.#earlier.untilMs) return 1;
      this.#earlier = undefined;
    }
    const [first = sequence] = this.#open;
    let floor = Math.min(first, sequence);
    for (const [other, { lowest }] of this.#kept) {
      if (other !== place) floor = Math.min(floor, lowest);
    }
    return floor;
  }

  settle(sequence: number, outcome: 'processed' | 'given-up' | { readonly keptAt: KeptPlace }): void {
    this.#open.delete(sequence);
    if (outcome === 'given-up') return;
    if (outcome !== 'processed') {
      const span = this.#kept.get(outcome.keptAt);
      if (span === undefined) this.#kept.set(outcome.keptAt, { lowest: sequence, highest: sequence });
      else {
        span.lowest = Math.min(span.lowest, sequence);
        span.highest = Math.max(span.highest, sequence);
      }
      return;
    }
    // Handled in order: so are those before it, wherever they lay.
    if (this.#earlier !== undefined && this.#earlier.highest < sequence) this.#earlier = undefined;
    for (const [place, span] of this.#kept) {
      if (span.highest <= sequence) this.#kept.delete(place);
      else span.lowest = Math.max(span.lowest, sequence + 1);
    }
  }
}

/**
 * The messages of one session to one membrane. Each has a number within its stream, by which the receiver drops repeats
 * and keeps the order; those without a stream have numbers of their own.
 */
export class Conversation {
  /** Names the numbers: they begin anew with another session. */
  readonly session: string;
  readonly #unordered = new StreamNumbers(undefined);
  readonly #streams = new Map<string, StreamNumbers>();

  readonly #earlier: EarlierRuns | undefined;

  constructor(session: string, earlier?: EarlierRuns) {
    this.session = session;
    this.#earlier = earlier;
  }

  get isIdle(): boolean {
    if (!this.#unordered.isIdle) return false;
    for (const numbers of this.#streams.values()) if (!numbers.isIdle) return false;
    return true;
  }

  begin(stream: string | undefined): number {
    return this.#numbers(stream).begin();
  }

  resume(stream: string | undefined, sequence: number): void {
    this.#numbers(stream).resume(sequence);
  }

  lead(stream: string | undefined): number {
    return this.#numbers(stream).lead;
  }

  floor(stream: string, sequence: number, place: KeptPlace | undefined): number {
    return this.#numbers(stream).floor(sequence, place);
  }

  settle(
    stream: string | undefined,
    sequence: number,
    outcome: 'processed' | 'given-up' | { readonly keptAt: KeptPlace },
  ): void {
    // Without a stream nobody waits for those before.
    const isKept = typeof outcome === 'object';
    this.#numbers(stream).settle(sequence, stream === undefined && isKept ? 'given-up' : outcome);
  }

  #numbers(stream: string | undefined): StreamNumbers {
    if (stream === undefined) return this.#unordered;
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    const numbers = new StreamNumbers(this.#earlier);
    this.#streams.set(stream, numbers);
    return numbers;
  }
}
