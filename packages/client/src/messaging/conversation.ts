import { systemClock, type Clock } from '../clock.js';
import type { EarlierRuns } from './sequence-ledger.js';

/** How far numbers may run ahead of the oldest one under way: receivers remember 65,536 of a session. */
export const MAX_LEAD = 60_000;

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
  /** Not above the first of them. */
  #first = 1;
  /** Handed to a place that keeps them, and not known to be handled. */
  readonly #kept = new Map<KeptPlace, KeptSpan>();

  /** What may lie somewhere of earlier runs: nobody knows where, nor how much. */
  #earlierRuns: EarlierRuns | undefined;

  constructor(last = 0, earlierRuns?: EarlierRuns) {
    this.#last = last;
    this.#first = last + 1;
    this.#earlierRuns = earlierRuns;
  }

  begin(): number {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  /** One that was numbered in an earlier run of the process. */
  resume(sequence: number): void {
    this.#last = Math.max(this.#last, sequence);
    this.#first = this.#open.size === 0 ? sequence : Math.min(this.#first, sequence);
    this.#open.add(sequence);
  }

  /** How far the numbers have run ahead of the first that is under way, at most; from `MAX_LEAD` on exactly that. */
  get lead(): number {
    // Most of the time there is no need to look.
    if (this.#last - this.#first < MAX_LEAD) return this.#last - this.#first;
    [this.#first = this.#last] = this.#open;
    return this.#last - this.#first;
  }

  get last(): number {
    return this.#last;
  }

  /** As `lead`, if that one were the last. */
  leadOf(sequence: number): number {
    const [first = sequence] = this.#open;
    return sequence - first;
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
    if (this.#earlierRuns !== undefined) {
      if (Date.now() < this.#earlierRuns.untilMs) return 1;
      this.#earlierRuns = undefined;
    }
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
    if (this.#earlierRuns !== undefined && this.#earlierRuns.highest < sequence)
      this.#earlierRuns = undefined;
    for (const [place, span] of this.#kept) {
      if (span.highest <= sequence) this.#kept.delete(place);
      else span.lowest = Math.max(span.lowest, sequence + 1);
    }
  }
}

/**
 * The messages of one run of a process to one membrane. Each has a number within its stream, by which the receiver drops
 * repeats and keeps the order; those without a stream have numbers of their own. Of a session the receiver remembers
 * only so many of these: where one of them is slow and the others have run far ahead, they go on in another session.
 */
export class Conversation {
  /** Names the numbers of the streams, and the first of those without one. */
  readonly session: string;
  #unorderedSession: string;
  #unordered = new StreamNumbers();
  /** By session, those with messages under way: each of them has at least one. */
  readonly #earlier = new Map<string, StreamNumbers>();
  readonly #streams = new Map<string, StreamNumbers>();
  readonly #clock: Clock;
  /** Where a stream begins that is not remembered: above all that those forgotten have used. */
  #base = 0;
  /** So many streams that it is worth to look which are over. */
  #sweepAt = MAX_IDLE_STREAMS;

  readonly #earlierRuns: EarlierRuns | undefined;

  /** @param parts `earlierRuns`: of the same session, where an outbox goes on with it. */
  constructor(
    session: string,
    { earlierRuns, clock = systemClock }: { earlierRuns?: EarlierRuns | undefined; clock?: Clock } = {},
  ) {
    this.session = session;
    this.#unorderedSession = session;
    this.#earlierRuns = earlierRuns;
    this.#clock = clock;
  }

  get rememberedStreams(): number {
    return this.#streams.size;
  }

  get isIdle(): boolean {
    if (!this.#unordered.isIdle || this.#earlier.size > 0) return false;
    for (const numbers of this.#streams.values()) if (!numbers.isIdle) return false;
    return true;
  }

  /** The session of the next message, which `begin` or `resume` has given its number. */
  sessionOf(stream: string | undefined): string {
    return stream === undefined ? this.#unorderedSession : this.session;
  }

  begin(stream: string | undefined): number {
    if (stream === undefined) {
      if (this.#unordered.lead >= MAX_LEAD) this.#beginSession(this.#unordered.last + 1);
      return this.#unordered.begin();
    }
    return (this.#streams.get(stream) ?? this.#add(stream, this.#base)).begin();
  }

  /**
   * One that has its number from elsewhere.
   * @param session of an earlier run, where it has its session from there too.
   */
  resume(stream: string | undefined, sequence: number, session?: string): void {
    if (stream !== undefined) {
      (this.#streams.get(stream) ?? this.#add(stream, 0)).resume(sequence);
    } else if (session !== undefined && session !== this.#unorderedSession) {
      const earlier = this.#earlier.get(session) ?? new StreamNumbers();
      this.#earlier.set(session, earlier);
      earlier.resume(sequence);
    } else {
      if (session === undefined && this.#unordered.leadOf(sequence) >= MAX_LEAD) this.#beginSession(sequence);
      this.#unordered.resume(sequence);
    }
  }

  lead(stream: string): number {
    return this.#streams.get(stream)?.lead ?? 0;
  }

  floor(stream: string, sequence: number, place: KeptPlace | undefined): number {
    return this.#streams.get(stream)?.floor(sequence, place) ?? sequence;
  }

  /** @param session of the message, where it has no stream. */
  settle(stream: string | undefined, sequence: number, outcome: SendEnd, session = this.session): void {
    if (stream !== undefined) {
      this.#streams.get(stream)?.settle(sequence, outcome);
    } else if (session === this.#unorderedSession) {
      // Nobody waits for those before, wherever they lie.
      this.#unordered.settle(sequence, 'given-up');
    } else {
      const earlier = this.#earlier.get(session);
      earlier?.settle(sequence, 'given-up');
      if (earlier?.isIdle === true) this.#earlier.delete(session);
    }
  }

  /** Its name is not given twice, since numbers are not: an outbox may go on with it in a later run. */
  #beginSession(first: number): void {
    this.#earlier.set(this.#unorderedSession, this.#unordered);
    this.#unorderedSession = `${this.session}+${first}`;
    this.#unordered = new StreamNumbers(first - 1);
  }

  #add(stream: string, last: number): StreamNumbers {
    if (this.#streams.size >= this.#sweepAt) this.#forgetStreams();
    const numbers = new StreamNumbers(last, this.#earlierRuns);
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
