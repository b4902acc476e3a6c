import { ShardedMap } from '../../src/domain/sharded-map.js';

/** More than one `Map` is used for. */
const MANY = 50_000;
const ids = Array.from({ length: MANY }, (_, index) => `worker-${index}`);

describe('a sharded map', () => {
  it('is a map, small and large', () => {
    const map = new ShardedMap<number>();
    const model = new Map<string, number>();
    const expectSame = (): void => {
      expect(map.size).toBe(model.size);
      expect(new Set(map.keys())).toEqual(new Set(model.keys()));
      expect([...map.values()].sort((a, b) => a - b)).toEqual([...model.values()].sort((a, b) => a - b));
    };
    for (const [index, id] of ids.entries()) {
      map.set(id, index);
      model.set(id, index);
      if (index % 3 === 0) {
        if (index < 30) expect([map.delete(id), map.delete(id)]).toEqual([true, false]);
        else map.delete(id);
        model.delete(id);
      }
      if (index % 5 === 0) {
        map.set(id, -index);
        model.set(id, -index);
      }
      if (index === 10) expectSame();
    }
    expectSame();
    expect(ids.filter((id) => map.get(id) !== model.get(id) || map.has(id) !== model.has(id))).toEqual([]);
    for (const id of ids) map.delete(id);
    expect([map.size, [...map.keys()]]).toEqual([0, []]);
  });

  it('keeps the order of arrival while it is small', () => {
    const map = new ShardedMap<string>();
    for (const id of ['oven', 'lamp', 'attic']) map.set(id, id);
    expect([...map.values()]).toEqual(['oven', 'lamp', 'attic']);
  });
});
