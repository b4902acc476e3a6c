import { systemClock, type Clock } from '../clock.js';

/** Streams that are remembered, beside those with messages that may still come. */
const MAX_IDLE_STREAMS = 1_000;

/** How much later than at its deadline a message that was kept may be handled: clocks differ, and inboxes hold. */
const KEPT_GRACE_MS = 60_000;

/** A place that keeps messages until they are collected: a directory, or the mailbox. */
export type KeptPlace = string;

interface KeptSpan {
  lowest: number;
  highest: number;
  /** When the time of the last of them is over. */
  untilMs: number;
}

/** What became of a message. One that is kept may come until its deadline. */
type SendEnd = 'processed' | 'given-up' | { readonly keptAt: KeptPlace; readonly untilMs: number };

/** The numbers of one stream of messages, and which of them may still come. */
class StreamNumbers {
  #last = 0;
  /** Under way, ascending. */
  readonly #open = new Set<number>();
  /** Handed to a place that keeps them, and not known to be handled. */
  readonly #kept = new Map<KeptPlace, KeptSpan>();

  constructor(last = 0) {
    this.#last = last;
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

  get last(): number {
    return this.#last;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** True where nothing of it may still come. */
  isOver(nowMs: number): boolean {
    if (!this.isIdle) return false;
    for (const { untilMs } of this.#kept.values()) if (nowMs < untilMs + KEPT_GRACE_MS) return false;
    return true;
  }

  /**
   * The lowest number that may still come beside the one that goes to `place`: what lies there before it comes before
   * it by itself.
   */
  floor(sequence: number, place: KeptPlace | undefined): number {
    const [first = sequence] = this.#open;
    let floor = Math.min(first, sequence);
    for (const [other, { lowest }] of this.#kept) {
      if (other !== place) floor = Math.min(floor, lowest);
    }
    return floor;
  }

  settle(sequence: number, outcome: SendEnd): void {
    this.#open.delete(sequence);
    if (outcome === 'given-up') return;
    if (outcome !== 'processed') {
      const { keptAt, untilMs } = outcome;
      const span = this.#kept.get(keptAt);
      if (span === undefined) this.#kept.set(keptAt, { lowest: sequence, highest: sequence, untilMs });
      else {
        span.untilMs = Math.max(span.untilMs, untilMs);
        span.lowest = Math.min(span.lowest, sequence);
        span.highest = Math.max(span.highest, sequence);
      }
      return;
    }
    // Handled in order: so are those before it, wherever they lay.
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
  readonly #unordered = new StreamNumbers();
  readonly #streams = new Map<string, StreamNumbers>();
  readonly #clock: Clock;
  /** Where a stream begins that is not remembered: above all that those forgotten have used. */
  #base = 0;
  /** So many streams that it is worth to look which are over. */
  #sweepAt = MAX_IDLE_STREAMS;

  constructor(session: string, clock: Clock = systemClock) {
    this.session = session;
    this.#clock = clock;
  }

  get rememberedStreams(): number {
    return this.#streams.size;
  }

  get isIdle(): boolean {
    if (!this.#unordered.isIdle) return false;
    for (const numbers of this.#streams.values()) if (!numbers.isIdle) return false;
    return true;
  }

  begin(stream: string | undefined): number {
    return (this.#known(stream) ?? this.#add(stream, this.#base)).begin();
  }

  /** One that has its number from elsewhere. */
  resume(stream: string | undefined, sequence: number): void {
    (this.#known(stream) ?? this.#add(stream, 0)).resume(sequence);
  }

  lead(stream: string | undefined): number {
    return this.#known(stream)?.lead ?? 0;
  }

  floor(stream: string, sequence: number, place: KeptPlace | undefined): number {
    return this.#known(stream)?.floor(sequence, place) ?? sequence;
  }

  settle(stream: string | undefined, sequence: number, outcome: SendEnd): void {
    // Without a stream nobody waits for those before.
    const isKept = typeof outcome === 'object';
    this.#known(stream)?.settle(sequence, stream === undefined && isKept ? 'given-up' : outcome);
  }

  #known(stream: string | undefined): StreamNumbers | undefined {
    return stream === undefined ? this.#unordered : this.#streams.get(stream);
  }

  #add(stream: string | undefined, last: number): StreamNumbers {
    if (stream === undefined) return this.#unordered;
    if (this.#streams.size >= this.#sweepAt) this.#forgetStreams();
    const numbers = new StreamNumbers(last);
    this.#streams.set(stream, numbers);
    return numbers;
  }

  /** Those that are used again go on with a gap, which their floor tells. */
  #forgetStreams(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [name, numbers] of this.#streams) {
      if (!numbers.isOver(nowMs)) continue;
      this.#base = Math.max(this.#base, numbers.last);
      this.#streams.delete(name);
    }
    // Twice those that had to stay: so that many of them are not looked at for each new one.
    this.#sweepAt = MAX_IDLE_STREAMS + 2 * this.#streams.size;
  }
}
