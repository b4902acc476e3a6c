/** How long work may go on before requests get their turn. */
const SLICE_MS = 4;

/** Does a bounded piece of the work; true where that was the last. */
export type WorkStep = () => boolean;

export interface WorkSlicesOptions {
  readonly nowMs: () => number;
  /** A step failed; the work that it belongs to ends with it. */
  readonly onError: (error: unknown) => void;
}

/** Work that can wait, done in slices between the turns of the event loop; what is under way takes turns. */
export class WorkSlices {
  readonly #options: WorkSlicesOptions;
  #steps: WorkStep[] = [];
  #isScheduled = false;

  constructor(options: WorkSlicesOptions) {
    this.#options = options;
  }

  add(step: WorkStep): void {
    this.#steps.push(step);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#steps.length === 0) return;
    this.#isScheduled = true;
    setImmediate(this.#runSlice);
  }

  readonly #runSlice = (): void => {
    this.#isScheduled = false;
    const endMs = this.#options.nowMs() + SLICE_MS;
    // A round in which each gets one step: what is added meanwhile, or goes on, gets its turn in the next.
    do {
      const round = this.#steps;
      this.#steps = [];
      for (const [index, step] of round.entries()) {
        if (index > 0 && this.#options.nowMs() >= endMs) {
          this.#steps = [...round.slice(index), ...this.#steps];
          break;
        }
        if (!this.#run(step)) this.#steps.push(step);
      }
    } while (this.#steps.length > 0 && this.#options.nowMs() < endMs);
    this.#schedule();
  };

  #run(step: WorkStep): boolean {
    try {
      return step();
    } catch (error) {
      this.#options.onError(error);
      return true;
    }
  }
}
