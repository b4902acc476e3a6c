import { journalKey } from './membrane-store.js';

/** Deleting the surplus in batches keeps most commits free of deletes. */
const TRIM_BATCH = 1_000;

/** Which revisions the journal of a store holds, and which must go. */
export class JournalWindow {
  readonly #limit: number;
  #revisions: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The journal as it was found, in any order. */
  load(revisions: readonly number[]): void {
    this.#revisions = [...revisions].sort((left, right) => left - right);
  }

  /** Keys to delete along with the next commit; they stay in the window until `trimmed`. */
  surplusKeys(): string[] {
    const surplus = this.#revisions.length - this.#limit;
    return surplus < TRIM_BATCH ? [] : this.#revisions.slice(0, surplus).map(journalKey);
  }

  /** The keys were deleted, and these revisions written. */
  committed(deletedKeys: readonly string[], revisions: readonly number[]): void {
    if (deletedKeys.length > 0) this.#revisions = this.#revisions.slice(deletedKeys.length);
    for (const revision of revisions) this.#revisions.push(revision);
  }
}
