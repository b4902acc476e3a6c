import type { Clock, Timer } from '../clock.js';

/** How long messages wait for those before them, at most. */
const MAX_HOLD_MS = 10_000;
/** The same for those that a directory or a mailbox keeps: what comes before may wait there behind much else. */
const MAX_HOLD_KEPT_MS = 30_000;
/** Of the time that a message has left: it is to be handled within it. */
const HOLD_SHARE = 0.9;
/** Gaps that are remembered one by one; between the oldest of them, what was handled counts as given up too. */
const MAX_GAPS = 1_000;

export interface Held {
  readonly sequence: number;
  readonly takenAtMs: number;
  readonly expiresAtMs: number;
  readonly isKept: boolean;
}

/**
 * The messages of one stream of one session: handled one at a time, in the order of their numbers. One that comes early
 * is held until those before it have come, or will not: their sender says so, or too much time has passed.
 */
export class OrderedStream<Entry extends Held> {
  readonly #clock: Clock;
  readonly #begin: (entry: Entry) => void;
  readonly #held = new Map<number, Entry>();
  /** All up to it were handled, or given up. */
  #mark: number;
  /** Up to there nobody waits. */
  #floor: number;
  #gaps: { from: number; to: number }[] = [];
  /** Above the mark. */
  readonly #skipped = new Set<number>();
  #running: Entry | undefined;
  /** When one came that others waited for: more of them are likely to be on their way. */
  #filledAtMs = 0;
  /** When a gap was given up: what a directory or a mailbox keeps behind it may have found no room until then. */
  #gaveUpAtMs = 0;
  /** The last one that had begun and was not handled: it has its time to come again. */
  #returned: { sequence: number; atMs: number } | undefined;
  /** What is missing behind the mark is waited for until the time of one that is held has run out. */
  #wait: { mark: number; untilMs: number; timer: Timer } | undefined;
  #isPumping = false;

  constructor(first: number, { clock, begin }: { clock: Clock; begin: (entry: Entry) => void }) {
    this.#mark = first - 1;
    this.#floor = first;
    // What was before is not known here.
    if (first > 1) this.#gaps.push({ from: 1, to: first - 1 });
    this.#clock = clock;
    this.#begin = begin;
  }

  get isIdle(): boolean {
    return this.#running === undefined && this.#held.size === 0;
  }

  /** `late`: it was given up, and those behind it were handled. `taken`: another message has its number. */
  stateOf(sequence: number): 'new' | 'done' | 'late' | 'taken' {
    if (sequence > this.#mark) {
      return this.#held.has(sequence) || this.#running?.sequence === sequence ? 'taken' : 'new';
    }
    return this.#gaps.some(({ from, to }) => from <= sequence && sequence <= to) ? 'late' : 'done';
  }

  /** Whether others wait here for that one: as the next that is handled, or for those behind it as well. */
  need(sequence: number): 'none' | 'later' | 'next' {
    if (this.#held.size === 0 || sequence > this.#lowestHeld()) return 'none';
    return sequence === this.#mark + 1 && this.#running === undefined ? 'next' : 'later';
  }

  hold(entry: Entry): void {
    if (this.#wait !== undefined && entry.sequence === this.#mark + 1) {
      this.#filledAtMs = this.#clock.monotonicMs();
    }
    this.#held.set(entry.sequence, entry);
    this.#pump(entry);
  }

  /** That one will not come; those before it may. */
  skip(sequence: number): void {
    if (sequence <= this.#mark || this.#skipped.size >= MAX_GAPS || this.stateOf(sequence) !== 'new') return;
    this.#skipped.add(sequence);
    this.#pump();
  }

  /** Nobody need wait for those below. */
  raiseFloor(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#pump();
  }

  /** The one that runs is over. One that is not handled, and may come again, keeps its place. */
  finish(entry: Entry, outcome: 'handled' | 'given-up' | 'may-come-again'): void {
    if (this.#running !== entry) return;
    this.#running = undefined;
    if (outcome === 'may-come-again') {
      this.#returned = { sequence: entry.sequence, atMs: this.#clock.monotonicMs() };
    } else {
      if (outcome === 'given-up') this.#addGap(entry.sequence, entry.sequence);
      this.#mark = entry.sequence;
    }
    this.#pump();
  }

  /** Forgets what is held and has not begun. */
  clear(): Entry[] {
    this.#stopWaiting();
    const held = [...this.#held.values()];
    this.#held.clear();
    return held;
  }

  #pump(newest?: Entry): void {
    // A handler may return at once: the loop takes the next one, in place of a call within a call.
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#running === undefined && this.#advance());
    this.#isPumping = false;
    for (const sequence of this.#skipped) if (sequence <= this.#mark) this.#skipped.delete(sequence);
    if (this.#running === undefined && this.#held.size > 0) this.#waitForGap(newest);
    else this.#stopWaiting();
  }

  #advance(): boolean {
    const next = this.#held.get(this.#mark + 1);
    if (next !== undefined) {
      this.#held.delete(next.sequence);
      this.#running = next;
      this.#begin(next);
      return true;
    }
    if (this.#skipped.delete(this.#mark + 1)) {
      this.#mark += 1;
      this.#addGap(this.#mark, this.#mark);
      return true;
    }
    if (this.#mark + 1 >= this.#floor) return false;
    const to = Math.min(this.#floor, this.#lowestHeld()) - 1;
    this.#addGap(this.#mark + 1, to);
    this.#mark = to;
    return true;
  }

  /**
   * Each of those held waits for its own time: then all before it that are missing are given up together; only the next
   * gap, where they are kept.
   */
  #waitForGap(newest: Entry | undefined): void {
    const isSameGap = this.#wait?.mark === this.#mark;
    // Those that were there before have been looked at.
    const candidates = isSameGap && newest !== undefined ? [newest] : this.#held.values();
    let untilMs = isSameGap ? (this.#wait?.untilMs ?? 0) : Number.POSITIVE_INFINITY;
    let first: Entry | undefined;
    for (const entry of candidates) {
      const giveUpAtMs = this.#giveUpAtMs(entry);
      if (giveUpAtMs >= untilMs) continue;
      untilMs = giveUpAtMs;
      first = entry;
    }
    if (first === undefined) return;
    const { sequence, isKept } = first;
    this.#stopWaiting();
    const timer = this.#clock.setTimer(
      () => {
        this.#wait = undefined;
        this.#gaveUpAtMs = this.#clock.monotonicMs();
        this.raiseFloor(isKept ? this.#lowestHeld() : sequence);
      },
      Math.max(0, untilMs - this.#clock.monotonicMs()),
    );
    this.#wait = { mark: this.#mark, untilMs, timer };
  }

  #giveUpAtMs({ takenAtMs, expiresAtMs, isKept }: Entry): number {
    const returnedAtMs = this.#returned?.sequence === this.#mark + 1 ? this.#returned.atMs : 0;
    const sinceMs = Math.max(takenAtMs, returnedAtMs, this.#filledAtMs, isKept ? this.#gaveUpAtMs : 0);
    return Math.min(
      sinceMs + (isKept ? MAX_HOLD_KEPT_MS : MAX_HOLD_MS),
      takenAtMs + HOLD_SHARE * (expiresAtMs - takenAtMs),
    );
  }

  #stopWaiting(): void {
    this.#wait?.timer.cancel();
    this.#wait = undefined;
  }

  #lowestHeld(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const sequence of this.#held.keys()) lowest = Math.min(lowest, sequence);
    return lowest;
  }

  #addGap(from: number, to: number): void {
    const last = this.#gaps.at(-1);
    if (last?.to === from - 1) last.to = to;
    else this.#gaps.push({ from, to });
    const [oldest, second] = this.#gaps;
    if (this.#gaps.length <= MAX_GAPS || oldest === undefined || second === undefined) return;
    // Rather refused and known to be than taken for handled and lost.
    this.#gaps.splice(0, 2, { from: oldest.from, to: second.to });
  }
}
