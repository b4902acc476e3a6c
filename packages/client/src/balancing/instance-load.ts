import type { Clock } from '../clock.js';

/** Calls that fail in a row before an instance is ejected. */
const FAILURES_TO_EJECT = 5;
const FIRST_EJECTION_MS = 5_000;
const MAX_EJECTION_MS = 300_000;
/** After an ejection its share of the calls grows from a tenth to the whole within that time. */
const RETURN_MS = 10_000;
const FIRST_SHARE = 0.1;
/** Older latencies count for little. */
const DECAY_MS = 10_000;
/** What a failed call counts as, where it was faster: one that fails at once is not the best choice. */
const FAILURE_MS = 1_000;

/** What one client knows of an instance from its own calls: how long they take, how many are under way, how they fail. */
export class InstanceLoad {
  pending = 0;
  #latencyMs: number | undefined;
  #latencyAtMs = 0;
  #failuresInRow = 0;
  #ejectedUntilMs = 0;
  #ejectionMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The moving average of what calls took, in milliseconds; undefined before the first. It jumps up at once and comes
   * down slowly ("peak EWMA", as in Finagle), and fades while there are no calls, so that a slow one gets another chance:
   * by one call at first. A failure counts as a slow call.
   */
  get latencyMs(): number | undefined {
    if (this.#latencyMs === undefined) return undefined;
    return this.pending > 0 ? this.#latencyMs : this.#fadedMs(this.#clock.monotonicMs());
  }

  get isEjected(): boolean {
    return this.#ejectedUntilMs > 0 && this.#clock.monotonicMs() < this.#ejectedUntilMs;
  }

  /** Of the calls that would be its: 1, less for a while after an ejection. */
  get share(): number {
    if (this.#ejectedUntilMs === 0) return 1;
    const sinceMs = this.#clock.monotonicMs() - this.#ejectedUntilMs;
    if (sinceMs >= RETURN_MS) return 1;
    return sinceMs < 0 ? 0 : FIRST_SHARE + ((1 - FIRST_SHARE) * sinceMs) / RETURN_MS;
  }

  /** @returns what ends it, to be called once. */
  begin(): (isFailure: boolean) => void {
    const startMs = this.#clock.monotonicMs();
    this.pending += 1;
    return (isFailure) => {
      this.pending -= 1;
      const nowMs = this.#clock.monotonicMs();
      const tookMs = nowMs - startMs;
      this.#note(nowMs, isFailure ? Math.max(tookMs, FAILURE_MS) : tookMs);
      if (isFailure) this.#fail(nowMs);
      else this.#succeed(nowMs);
    };
  }

  #note(nowMs: number, tookMs: number): void {
    const weight = this.#weightOf(nowMs - this.#latencyAtMs);
    const isPeak = tookMs > this.#fadedMs(nowMs);
    this.#latencyMs = isPeak ? tookMs : (this.#latencyMs ?? tookMs) * weight + tookMs * (1 - weight);
    this.#latencyAtMs = nowMs;
  }

  #fadedMs(nowMs: number): number {
    return (this.#latencyMs ?? 0) * this.#weightOf(nowMs - this.#latencyAtMs);
  }

  #succeed(nowMs: number): void {
    this.#failuresInRow = 0;
    if (this.#ejectedUntilMs > 0 && nowMs - this.#ejectedUntilMs >= RETURN_MS) {
      this.#ejectedUntilMs = 0;
      this.#ejectionMs = 0;
    }
  }

  #fail(nowMs: number): void {
    this.#failuresInRow += 1;
    if (this.#failuresInRow < FAILURES_TO_EJECT || nowMs < this.#ejectedUntilMs) return;
    this.#ejectionMs = Math.min(MAX_EJECTION_MS, Math.max(FIRST_EJECTION_MS, 2 * this.#ejectionMs));
    this.#ejectedUntilMs = nowMs + this.#ejectionMs;
    // One that fails on its return is out again at once.
    this.#failuresInRow = FAILURES_TO_EJECT - 1;
  }

  #weightOf(elapsedMs: number): number {
    return Math.exp(-elapsedMs / DECAY_MS);
  }
}
