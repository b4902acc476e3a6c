import { parseTarget } from '@membrane/protocol';
import { TargetFinder } from '../../src/messaging/target-finder.js';
import type { ListFilter, Membrane } from '../../src/registry-api.js';
import type { FoundMembrane } from '../../src/resolver.js';

/** Membranes and their parents, as the registry tells of them. */
function begin(parents: Readonly<Record<string, string | null>>): TargetFinder {
  const all = Object.entries(parents).map(([id, parent]) => ({ id, parent, instances: [] }));
  return new TargetFinder({
    id: 'cook',
    ownParent: () => undefined,
    discover: (id) => Promise.resolve(all.find((one) => one.id === id) as FoundMembrane | undefined),
    list: async function* ({ parent }: ListFilter) {
      for (const one of all) {
        if (parent === undefined || parent === one.parent)
          yield await Promise.resolve(one as unknown as Membrane);
      }
    },
  });
}

const idsOf = async (finder: TargetFinder, target: string): Promise<string[]> =>
  (await finder.findAll(parseTarget(target))).map(({ id }) => id).sort();

describe('a subtree', () => {
  it('is everybody below its root', async () => {
    const finder = begin({ house: null, kitchen: 'house', oven: 'kitchen', cellar: null });
    expect(await idsOf(finder, '@subtree:house')).toEqual(['kitchen', 'oven']);
    expect(await idsOf(finder, '@subtree:oven')).toEqual([]);
  });

  it('whose root is nobody is not found', async () => {
    const finder = begin({ house: null });
    await expect(idsOf(finder, '@subtree:hosue')).rejects.toMatchObject({
      code: 'not_found',
      message: 'there is no membrane "hosue"',
    });
  });

  it('whose root has gone is those who are left of it', async () => {
    expect(await idsOf(begin({ oven: 'kitchen' }), '@subtree:kitchen')).toEqual(['oven']);
  });

  it('of a client that is not registered is nobody', async () => {
    expect(await idsOf(begin({}), '@subtree')).toEqual([]);
  });
});
