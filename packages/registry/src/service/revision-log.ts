import type { StoreRun } from '../store/membrane-store.js';

/** A revision as a client shows it. `logId` undefined: of this log. */
export interface ShownRevision {
  readonly logId: string | undefined;
  readonly revision: number;
}

/**
 * The history that revisions belong to, as clients know it: `LOG-RUN`, where a run is what was written between one
 * start and the next. Of an earlier run only what was written in it is here: where data is put back to an earlier
 * state, what was written after that is in a run of another history, though its log has the same name.
 */
export class RevisionLog {
  /** What this run is called. */
  readonly id: string;
  /** By what the run is called: the last revision that is here of it. */
  readonly #ends = new Map<string, number>();

  constructor(logId: string, runs: readonly StoreRun[]) {
    const names = runs.map(({ id }) => (id === '' ? logId : `${logId}-${id}`));
    for (const [index, name] of names.entries()) {
      this.#ends.set(name, runs[index + 1]?.since ?? Number.POSITIVE_INFINITY);
    }
    this.id = names.at(-1) ?? logId;
  }

  /** False for a revision of another history. One of this that is still to come is its own. */
  owns({ logId, revision }: ShownRevision): boolean {
    return logId === undefined || revision <= (this.#ends.get(logId) ?? -1);
  }
}
