import fc from 'fast-check';
import { LayeredMap } from '../../src/domain/layered-map.js';

it('reads as a map with the same changes would, and leaves the one below as it is', () => {
  const key = fc.integer({ min: 0, max: 8 });
  const change = fc.record({ isDelete: fc.boolean(), key });
  fc.assert(
    fc.property(fc.uniqueArray(key), fc.array(change), (keys, changes) => {
      const below = new Map(keys.map((each) => [each, { key: each, version: 0 }]));
      const model = new Map(below);
      const layered = new LayeredMap(below, (value) => value.key);
      for (const [version, step] of changes.entries()) {
        // A key that is set again goes to the end, as it does in a mailbox.
        model.delete(step.key);
        if (step.isDelete) {
          layered.delete(step.key);
        } else {
          const value = { key: step.key, version };
          layered.set(step.key, value);
          model.set(step.key, value);
        }
      }
      expect([...layered.values()]).toEqual([...model.values()]);
      expect(layered.size).toBe(model.size);
      for (let each = 0; each <= 8; each += 1) {
        expect(layered.get(each)).toBe(model.get(each));
        expect(layered.has(each)).toBe(model.has(each));
      }
      expect([...below.keys()]).toEqual(keys);
    }),
  );
});
