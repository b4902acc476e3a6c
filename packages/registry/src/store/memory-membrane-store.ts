import { randomUUID } from 'node:crypto';
import { JournalWindow } from './journal-window.js';
import {
  beginRun,
  JOURNAL_LIMIT,
  journalKey,
  type ChangeSet,
  type MembraneStore,
  type StoreContents,
  type StoreRun,
  type StoredEntry,
} from './membrane-store.js';

/** Keeps everything in this process: for tests, and for registries whose members register again anyway. */
export class MemoryMembraneStore implements MembraneStore {
  readonly kind = 'memory';
  readonly location = null;
  readonly #logId = randomUUID();
  readonly #entries = new Map<string, StoredEntry>();
  readonly #journal: JournalWindow;
  #runs: readonly StoreRun[] | undefined;
  #revision = 0;

  constructor({ journalLimit = JOURNAL_LIMIT }: { journalLimit?: number } = {}) {
    this.#journal = new JournalWindow(journalLimit);
  }

  load(): Promise<StoreContents> {
    const entries = [...this.#entries.values()];
    async function* pages(): AsyncIterable<readonly StoredEntry[]> {
      yield await Promise.resolve(entries);
    }
    this.#runs = beginRun(this.#runs, this.#revision);
    return Promise.resolve({
      logId: this.#logId,
      runs: this.#runs,
      revision: this.#revision,
      entries: pages(),
    });
  }

  commit(changeSets: readonly ChangeSet[]): Promise<{ revision: number }[]> {
    const surplus = this.#journal.surplusKeys();
    for (const key of surplus) this.#entries.delete(key);
    this.#journal.committed(surplus, undefined);
    return Promise.resolve(changeSets.map((changeSet) => ({ revision: this.#commitOne(changeSet) })));
  }

  #commitOne({ puts, deletes, journal }: ChangeSet): number {
    this.#revision += 1;
    const revision = this.#revision;
    for (const { key, value } of puts) this.#entries.set(key, { key, value, revision });
    for (const key of deletes) this.#entries.delete(key);
    if (journal !== undefined) {
      const key = journalKey(revision);
      this.#entries.set(key, { key, value: journal, revision });
      this.#journal.committed([], { firstRevision: revision, lines: 1 });
    }
    return revision;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
