import { randomBytes } from 'node:crypto';
import type { JsonValue } from '@membrane/protocol';

/** Keys under which a store keeps its own rows; no change set may use them. */
export const JOURNAL_PREFIX = 'journal/';

/** How many changes the journal keeps. */
export const JOURNAL_LIMIT = 100_000;

export interface StoredEntry {
  readonly key: string;
  readonly value: JsonValue;
  /** Revision of the commit that wrote it. */
  readonly revision: number;
}

/** One change: several keys, all or nothing, one revision. */
export interface ChangeSet {
  readonly puts: readonly { readonly key: string; readonly value: JsonValue }[];
  readonly deletes: readonly string[];
  /** A line for the journal, kept under `JOURNAL_PREFIX` and its revision until `JOURNAL_LIMIT` others followed. */
  readonly journal?: JsonValue;
}

/**
 * What was written between one load and the next. Two copies of one store go on in runs of their own, so a revision
 * means the same only together with its run.
 */
export interface StoreRun {
  /** Unique within the log; empty for what was written before there were runs. */
  readonly id: string;
  /** The revision that it began with: the last of the run before. */
  readonly since: number;
}

/** How many runs a store remembers: whoever comes back from an earlier one has to read everything anew. */
export const MAX_RUNS = 256;

export interface StoreContents {
  /** Names the log. Made once, kept with the data, and with every copy of it. */
  readonly logId: string;
  /** The last runs, oldest first; the last is the one that this load begins. It is kept from the next commit on. */
  readonly runs: readonly StoreRun[];
  /** Of the last commit; 0 where there was none. */
  readonly revision: number;
  /** Every entry, the journal's included, in pages, in no order. */
  readonly entries: AsyncIterable<readonly StoredEntry[]>;
}

/**
 * Where a registry keeps what must outlive it. One commit at a time; every adapter passes the conformance suite in
 * `test/store/`.
 */
export interface MembraneStore {
  /** What `/status` calls it. */
  readonly kind: string;
  /** A path, or whatever tells an operator where it is; null where it is nowhere. */
  readonly location: string | null;
  /** Called once, before any commit. Rejects with a message for operators where the data cannot be used. */
  load(): Promise<StoreContents>;
  /**
   * Makes all change sets durable in order, or none, and gives each its revision, ascending. It alone allocates
   * revisions. Without change sets it proves that the store can write. Rejects where nothing was committed.
   */
  commit(changeSets: readonly ChangeSet[]): Promise<readonly { readonly revision: number }[]>;
  close(): Promise<void>;
}

/** The runs that a load leaves: those that were kept, and one that begins. `kept` undefined: it kept none yet. */
export function beginRun(kept: readonly StoreRun[] | undefined, revision: number): readonly StoreRun[] {
  const earlier = kept ?? (revision === 0 ? [] : [{ id: '', since: 0 }]);
  return [...earlier, { id: randomBytes(6).toString('hex'), since: revision }].slice(-MAX_RUNS);
}

/** Journal keys sort by revision. */
export function journalKey(revision: number): string {
  return `${JOURNAL_PREFIX}${String(revision).padStart(16, '0')}`;
}
