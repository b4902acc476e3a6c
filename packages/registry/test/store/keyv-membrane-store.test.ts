import { Keyv } from 'keyv';
import { KeyvMembraneStore } from '../../src/store/keyv-membrane-store.js';
import { describeStore, loadAll } from './membrane-store.conformance.js';

describeStore('Keyv without transactions', () => {
  const backend = new Map<string, unknown>();
  const open = (journalLimit?: number): Promise<KeyvMembraneStore> =>
    Promise.resolve(
      new KeyvMembraneStore(new Keyv({ store: backend }), journalLimit === undefined ? {} : { journalLimit }),
    );
  return Promise.resolve({ open, reopen: () => open() });
});

/** A backend that takes so many writes and fails at the rest. */
class FailingMap extends Map<string, unknown> {
  writesLeft = Number.POSITIVE_INFINITY;

  override set(key: string, value: unknown): this {
    this.#count();
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.#count();
    return super.delete(key);
  }

  #count(): void {
    if (this.writesLeft === 0) throw new Error('the backend is away');
    this.writesLeft -= 1;
  }
}

describe('a group over Keyv without transactions', () => {
  const group = [
    { puts: [{ key: 'a', value: 1 }], deletes: [] },
    { puts: [{ key: 'b', value: 2 }], deletes: ['old'] },
  ];

  async function openWithOld(): Promise<{ backend: FailingMap; store: KeyvMembraneStore }> {
    const backend = new FailingMap();
    const store = new KeyvMembraneStore(new Keyv({ store: backend }));
    await loadAll(store);
    await store.commit([{ puts: [{ key: 'old', value: 0 }], deletes: [] }]);
    return { backend, store };
  }

  it('that failed before it was durable leaves no trace', async () => {
    const { backend, store } = await openWithOld();
    backend.writesLeft = 0;
    await expect(store.commit(group)).rejects.toThrow('the backend is away');
    backend.writesLeft = Number.POSITIVE_INFINITY;
    const loaded = await loadAll(new KeyvMembraneStore(new Keyv({ store: backend })));
    expect([loaded.revision, [...loaded.entries.keys()]]).toEqual([1, ['old']]);
  });

  it.each([1, 2, 3, 4, 5])('cut short after %i writes is completed at the next load', async (writes) => {
    const { backend, store } = await openWithOld();
    backend.writesLeft = writes;
    await expect(store.commit(group)).resolves.toEqual([{ revision: 2 }, { revision: 3 }]);
    backend.writesLeft = Number.POSITIVE_INFINITY;
    const loaded = await loadAll(new KeyvMembraneStore(new Keyv({ store: backend })));
    expect([loaded.revision, [...loaded.entries.keys()].sort()]).toEqual([3, ['a', 'b']]);
  });

  it('cut short is completed before the next group', async () => {
    const { backend, store } = await openWithOld();
    backend.writesLeft = 2;
    await store.commit(group);
    await expect(store.commit([])).rejects.toThrow('the backend is away');
    backend.writesLeft = Number.POSITIVE_INFINITY;
    await expect(store.commit([{ puts: [], deletes: ['a'] }])).resolves.toEqual([{ revision: 4 }]);
    const loaded = await loadAll(new KeyvMembraneStore(new Keyv({ store: backend })));
    expect([loaded.revision, [...loaded.entries.keys()]]).toEqual([4, ['b']]);
  });
});

it('a Keyv that cannot be read back is refused at once', () => {
  const store = { get: () => undefined, set: () => true, delete: () => true, clear: () => undefined };
  expect(() => new KeyvMembraneStore(new Keyv({ store }))).toThrow('no iterator');
});

it('a Keyv whose reads fail is an error, not an empty registry', async () => {
  class Unreadable extends Map<string, unknown> {
    override get(): never {
      throw new Error('the backend is away');
    }
  }
  const store = new KeyvMembraneStore(new Keyv({ store: new Unreadable() }));
  await expect(store.load()).rejects.toThrow('the backend is away');
});
