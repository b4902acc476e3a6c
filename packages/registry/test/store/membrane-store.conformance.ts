import type { ChangeSet, MembraneStore, StoredEntry, StoreRun } from '../../src/store/membrane-store.js';

/** A place that stores can be opened on, one after the other. */
export interface StorePlace {
  open(journalLimit?: number): Promise<MembraneStore>;
  /** Opens what an earlier store left; undefined where nothing outlives a store. */
  reopen?(): Promise<MembraneStore>;
}

export interface LoadedStore {
  readonly logId: string;
  readonly runs: readonly StoreRun[];
  readonly revision: number;
  /** By key; the journal apart. */
  readonly entries: Map<string, StoredEntry>;
  readonly journal: StoredEntry[];
}

export async function loadAll(store: MembraneStore): Promise<LoadedStore> {
  const { entries, ...contents } = await store.load();
  const loaded = { ...contents, entries: new Map<string, StoredEntry>(), journal: [] as StoredEntry[] };
  for await (const page of entries) {
    for (const entry of page) {
      if (entry.key.startsWith('journal/')) loaded.journal.push(entry);
      else loaded.entries.set(entry.key, entry);
    }
  }
  loaded.journal.sort((left, right) => left.revision - right.revision);
  return loaded;
}

const put = (key: string, value: number): ChangeSet => ({ puts: [{ key, value }], deletes: [] });

/** What every adapter of the store port must do. `open` gives an empty place each time. */
export function describeStore(name: string, open: () => Promise<StorePlace>): void {
  describe(`${name} as a store`, () => {
    /** What the store holds, read by a new one where data outlives a store. */
    async function readBack(place: StorePlace, store: MembraneStore): Promise<LoadedStore> {
      if (place.reopen === undefined) return loadAll(store);
      await store.close();
      const reopened = await place.reopen();
      const loaded = await loadAll(reopened);
      await reopened.close();
      return loaded;
    }

    it('is empty at first, at revision 0', async () => {
      const place = await open();
      const store = await place.open();
      const loaded = await loadAll(store);
      expect(loaded.revision).toBe(0);
      expect(loaded.entries.size).toBe(0);
      expect(loaded.logId).not.toBe('');
      await store.close();
    });

    it('gives ascending revisions, one a change set, and remembers which wrote what', async () => {
      const place = await open();
      const store = await place.open();
      await loadAll(store);
      expect(await store.commit([put('a', 1), put('b', 2)])).toEqual([{ revision: 1 }, { revision: 2 }]);
      expect(await store.commit([put('c', 3)])).toEqual([{ revision: 3 }]);
      const { revision, entries } = await readBack(place, store);
      expect(revision).toBe(3);
      expect([...entries.values()].sort((x, y) => x.revision - y.revision)).toEqual([
        { key: 'a', value: 1, revision: 1 },
        { key: 'b', value: 2, revision: 2 },
        { key: 'c', value: 3, revision: 3 },
      ]);
    });

    it('replaces and deletes, and a group leaves what its last change says', async () => {
      const place = await open();
      const store = await place.open();
      await loadAll(store);
      await store.commit([put('kept', 1), put('gone', 1), put('again', 1)]);
      await store.commit([
        { puts: [{ key: 'kept', value: 2 }], deletes: ['gone', 'again'] },
        put('again', 3),
        put('brief', 4),
        { puts: [], deletes: ['brief'] },
      ]);
      const { entries } = await readBack(place, store);
      expect(Object.fromEntries([...entries.values()].map(({ key, value }) => [key, value]))).toEqual({
        kept: 2,
        again: 3,
      });
    });

    it('keeps any JSON and any key of names and slashes', async () => {
      const place = await open();
      const store = await place.open();
      await loadAll(store);
      const value = {
        text: ':a"\'\\\u0000é😀\ud800\u2028',
        'key "of" text': [1e300, -1e-7, 123_456_789.125],
        none: null,
        list: [1.5, true, { deep: [] }],
      };
      await store.commit([{ puts: [{ key: 'instance/n:s/i.d/x_y-z', value }], deletes: [] }]);
      const { entries } = await readBack(place, store);
      expect(entries.get('instance/n:s/i.d/x_y-z')?.value).toEqual(value);
    });

    it('keeps the journal lines up to its limit, newest longest', async () => {
      const place = await open();
      const store = await place.open(10);
      await loadAll(store);
      for (let index = 1; index <= 2_100; index += 70) {
        await store.commit(
          Array.from({ length: 70 }, (_, offset) => ({
            puts: [],
            deletes: [],
            journal: { n: index + offset },
          })),
        );
      }
      const { journal } = await readBack(place, store);
      const numbers = journal.map(({ value }) => (value as { n: number }).n);
      // It is trimmed in batches, so there are more than the limit and fewer than a batch above it.
      expect(numbers.length).toBeGreaterThanOrEqual(10);
      expect(numbers.length).toBeLessThan(1_110);
      expect(numbers).toEqual(Array.from(numbers, (_, index) => 2_100 - numbers.length + 1 + index));
    });

    it('proves that it can write without changing anything', async () => {
      const place = await open();
      const store = await place.open();
      await loadAll(store);
      await store.commit([put('a', 1)]);
      expect(await store.commit([])).toEqual([]);
      const { revision, entries } = await readBack(place, store);
      expect([revision, entries.size]).toEqual([1, 1]);
    });

    it('goes on where an earlier store ended, in the same log', async () => {
      const place = await open();
      const store = await place.open();
      if (place.reopen === undefined) {
        await store.close();
        return;
      }
      const { logId } = await loadAll(store);
      await store.commit([put('a', 1), put('b', 2)]);
      await store.close();
      const reopened = await place.reopen();
      expect((await loadAll(reopened)).logId).toBe(logId);
      expect(await reopened.commit([put('c', 3)])).toEqual([{ revision: 3 }]);
      await reopened.close();
    });

    it('begins a run at each load, and remembers those that wrote, or proved that they could', async () => {
      const place = await open();
      const reopen = async (store: MembraneStore): Promise<MembraneStore> => {
        if (place.reopen === undefined) return store;
        await store.close();
        return place.reopen();
      };
      let store = await place.open();
      const first = await loadAll(store);
      await store.commit([put('a', 1), put('b', 2)]);
      store = await reopen(store);
      const second = await loadAll(store);
      await store.commit([]);
      store = await reopen(store);
      const third = await loadAll(store);
      expect([first, second, third].map(({ runs }) => runs.map(({ since }) => since))).toEqual([
        [0],
        [0, 2],
        [0, 2, 2],
      ]);
      expect(third.runs.slice(0, 2)).toEqual(second.runs);
      expect(second.runs.slice(0, 1)).toEqual(first.runs);
      expect(new Set(third.runs.map(({ id }) => id)).size).toBe(3);
      await store.close();
    });
  });
}
