import { journalKey } from './membrane-store.js';

/** Deleting the surplus in batches keeps most commits free of deletes. */
const TRIM_BATCH = 1_000;

/** A row of the journal: the lines of one group. */
export interface JournalRow {
  /** Names the row. */
  readonly firstRevision: number;
  readonly lines: number;
}

/** Which rows the journal of a store holds, and which must go. */
export class JournalWindow {
  readonly #limit: number;
  #rows: JournalRow[] = [];
  #lines = 0;

  /** `limit`: lines to keep at least. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The journal as it was found, in any order. */
  load(rows: readonly JournalRow[]): void {
    this.#rows = [...rows].sort((left, right) => left.firstRevision - right.firstRevision);
    this.#lines = rows.reduce((sum, { lines }) => sum + lines, 0);
  }

  /** Keys to delete along with the next commit; they stay in the window until `committed`. */
  surplusKeys(): string[] {
    let surplus = this.#lines - this.#limit;
    const keys: string[] = [];
    if (surplus < TRIM_BATCH) return keys;
    for (const { firstRevision, lines } of this.#rows) {
      surplus -= lines;
      if (surplus < 0) break;
      keys.push(journalKey(firstRevision));
    }
    return keys;
  }

  /** The keys were deleted, and this row written. */
  committed(deletedKeys: readonly string[], row: JournalRow | undefined): void {
    for (const { lines } of this.#rows.slice(0, deletedKeys.length)) this.#lines -= lines;
    if (deletedKeys.length > 0) this.#rows = this.#rows.slice(deletedKeys.length);
    if (row === undefined) return;
    this.#rows.push(row);
    this.#lines += row.lines;
  }
}
