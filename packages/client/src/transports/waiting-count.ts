import { opendir } from 'node:fs/promises';
import type { Clock } from '../clock.js';

/** Others write too: what was counted is looked at again after so long. */
const COUNT_AGE_MS = 1_000;
/** While it seems full, how often it is looked whether it still is. */
const FULL_COUNT_AGE_MS = 100;
const ENTRIES_AT_ONCE = 1_024;

/**
 * About how many files wait in a directory: counted at most once a second, with what was put there since. Several
 * senders together can pass a limit by what they put there within a second.
 */
export class WaitingCount {
  readonly #directory: string;
  readonly #max: number;
  readonly #clock: Clock;
  #counted = 0;
  #since = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(directory: string, max: number, clock: Clock) {
    this.#directory = directory;
    this.#max = max;
    this.#clock = clock;
  }

  /**
   * Counts one more, where there is room for it.
   * @returns false where there is none. Rejects where the directory cannot be read.
   */
  async add(): Promise<boolean> {
    const ageMs = this.#clock.monotonicMs() - this.#countedAtMs;
    if (ageMs === Number.POSITIVE_INFINITY) await this.#count();
    else if (this.#isFull && ageMs >= FULL_COUNT_AGE_MS) await this.#count();
    // Nobody waits for it: whether the directory can be used, the message tells.
    else if (ageMs >= COUNT_AGE_MS) void this.#count().catch(() => undefined);
    if (this.#isFull) return false;
    this.#since += 1;
    return true;
  }

  get #isFull(): boolean {
    return this.#counted + this.#since >= this.#max;
  }

  #count(): Promise<void> {
    this.#counting ??= this.#countNow().finally(() => (this.#counting = undefined));
    return this.#counting;
  }

  async #countNow(): Promise<void> {
    // What is put there from now on may be among those counted, and is counted twice then: for a second.
    const before = this.#since;
    this.#countedAtMs = this.#clock.monotonicMs();
    const directory = await opendir(this.#directory, { bufferSize: ENTRIES_AT_ONCE });
    let counted = 0;
    try {
      while (counted < this.#max && (await directory.read()) !== null) counted += 1;
    } finally {
      await directory.close();
    }
    this.#counted = counted;
    this.#since -= before;
  }
}
