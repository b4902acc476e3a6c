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
/** Of the failure rate: the part that the latest call is, and how fast it fades. */
const LATEST_SHARE = 0.1;
const FAILURE_FADE_MS = 2_000;

/** What one client knows of an instance from its own calls: how long they take, how many are under way, how they fail. */
export class InstanceLoad {
  pending = 0;
  #latencyMs: number | undefined;
  #latencyAtMs = 0;
  /** When a call began or ended: since then it was left alone. */
  #usedAtMs = 0;
  #failureRate = 0;
  #endedAtMs = 0;
  #failuresInRow = 0;
  #ejectedUntilMs = 0;
  #ejectionMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The moving average of what calls took, in milliseconds; undefined before the first. It jumps up at once and comes
   * down slowly ("peak EWMA", as in Finagle), and fades while no call begins or ends, so that a slow one gets another
   * chance: by one call at first.
   */
  get latencyMs(): number | undefined {
    if (this.#latencyMs === undefined) return undefined;
    return this.#latencyMs * weightOf(this.#clock.monotonicMs() - this.#usedAtMs, DECAY_MS);
  }

  /** The moving average of failures, from 0 to 1: so one that fails at once is not taken for the fastest. */
  get failureRate(): number {
    return this.#failureRate === 0 ? 0 : this.#fadedRate(this.#clock.monotonicMs());
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
    // What it was before is kept, lest a whole burst go where long nobody was.
    this.#usedAtMs = startMs;
    return (isFailure) => {
      this.pending -= 1;
      const nowMs = this.#clock.monotonicMs();
      this.#failureRate = this.#fadedRate(nowMs) * (1 - LATEST_SHARE) + (isFailure ? LATEST_SHARE : 0);
      this.#endedAtMs = this.#usedAtMs = nowMs;
      if (isFailure) this.#fail(nowMs);
      else this.#succeed(nowMs, nowMs - startMs);
    };
  }

  #succeed(nowMs: number, tookMs: number): void {
    const weight = weightOf(nowMs - this.#latencyAtMs, DECAY_MS);
    const before = (this.#latencyMs ?? 0) * weight;
    this.#latencyMs = tookMs > before ? tookMs : before + tookMs * (1 - weight);
    this.#latencyAtMs = nowMs;
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

  #fadedRate(nowMs: number): number {
    return this.#failureRate * weightOf(nowMs - this.#endedAtMs, FAILURE_FADE_MS);
  }
}

function weightOf(elapsedMs: number, decayMs: number): number {
  return Math.exp(-elapsedMs / decayMs);
}
