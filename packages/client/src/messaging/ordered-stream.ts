import type { Clock, Timer } from '../clock.js';

/** How long messages wait for those before them, at most. */
const MAX_HOLD_MS = 10_000;
/** Of the time that a message has left: it is to be handled within it. */
const HOLD_SHARE = 0.9;
/** Gaps that are remembered: what comes late out of an older one counts as handled. */
const MAX_GAPS = 1_000;

export interface Held {
  readonly sequence: number;
  readonly expiresAtMs: number;
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
  /** Behind which mark something is missing, and how long that is waited for. */
  #gap: { mark: number; untilMs: number; timer: Timer } | undefined;
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

  /** True for the one that would be handled next, where others wait for it. */
  isAwaited(sequence: number): boolean {
    return sequence === this.#mark + 1 && this.#held.size > 0 && this.#running === undefined;
  }

  hold(entry: Entry): void {
    this.#held.set(entry.sequence, entry);
    this.#pump();
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
    if (outcome !== 'may-come-again') {
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

  #pump(): void {
    // A handler may return at once: the loop takes the next one, in place of a call within a call.
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#running === undefined && this.#advance());
    this.#isPumping = false;
    for (const sequence of this.#skipped) if (sequence <= this.#mark) this.#skipped.delete(sequence);
    if (this.#running === undefined && this.#held.size > 0) this.#waitForGap();
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

  /** What comes meanwhile does not prolong the wait. */
  #waitForGap(): void {
    const nowMs = this.#clock.monotonicMs();
    const isSameGap = this.#gap?.mark === this.#mark;
    let untilMs = isSameGap ? (this.#gap?.untilMs ?? 0) : nowMs + MAX_HOLD_MS;
    for (const { expiresAtMs } of this.#held.values()) {
      untilMs = Math.min(untilMs, nowMs + HOLD_SHARE * (expiresAtMs - nowMs));
    }
    if (isSameGap && untilMs === this.#gap?.untilMs) return;
    this.#stopWaiting();
    const timer = this.#clock.setTimer(
      () => {
        this.#gap = undefined;
        this.raiseFloor(this.#lowestHeld());
      },
      Math.max(0, untilMs - nowMs),
    );
    this.#gap = { mark: this.#mark, untilMs, timer };
  }

  #stopWaiting(): void {
    this.#gap?.timer.cancel();
    this.#gap = undefined;
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
    if (this.#gaps.length > MAX_GAPS) this.#gaps.shift();
  }
}
