import { IdSets } from '../../src/domain/id-sets.js';

/** More than one `Set` is used for. */
const MANY = 50_000;
const ids = Array.from({ length: MANY }, (_, index) => `worker-${index}`);

describe('sets of ids', () => {
  it('hold each id once, however many there are', () => {
    const sets = new IdSets();
    sets.add('yard', 'dog');
    for (const id of [...ids, ...ids]) sets.add('house', id);
    expect([sets.get('house').size, new Set(sets.get('house'))]).toEqual([MANY, new Set(ids)]);
    for (const id of [...ids.slice(1), 'worker-1']) sets.remove('house', id);
    expect([sets.get('house').size, [...sets.get('house')]]).toEqual([1, ['worker-0']]);
    expect([...sets.get('yard')]).toEqual(['dog']);
  });

  it('forget a key with its last id', () => {
    const sets = new IdSets();
    for (const id of ids) sets.add('house', id);
    for (const id of ids) sets.remove('house', id);
    expect([sets.has('house'), sets.get('house').size]).toEqual([false, 0]);
    sets.remove('house', 'worker-0');
    expect([...sets.get('house')]).toEqual([]);
  });

  it('keep the order of arrival while there are few', () => {
    const sets = new IdSets();
    for (const id of ['oven', 'lamp', 'attic']) sets.add('kitchen', id);
    expect([...sets.get('kitchen')]).toEqual(['oven', 'lamp', 'attic']);
  });
});
