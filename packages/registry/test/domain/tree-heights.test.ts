import { LIMITS } from '@membrane/protocol';
import type { StateView } from '../../src/domain/state-view.js';
import { isTooDeep } from '../../src/domain/tree-walk.js';
import { codeOf, registration, RegistryCore } from '../support/registry-core.js';

let core: RegistryCore;
beforeEach(async () => {
  core = await new RegistryCore().load();
});

const register = (id: string, parent: string | null = null): Promise<unknown> =>
  core.service.register(registration(id, { parent, heartbeat_interval_ms: 86_400_000 }));
const heights = (...ids: string[]): number[] => ids.map((id) => core.state.directory.heightOf('default', id));

async function chain(prefix: string, length: number, parent: string | null = null): Promise<void> {
  for (let level = 1; level <= length; level += 1) {
    await register(`${prefix}${level}`, level === 1 ? parent : `${prefix}${level - 1}`);
  }
}

describe('the height of a membrane', () => {
  it('is known of parents that are still to come, and of those that moved, were dissolved and divided', async () => {
    await register('pan', 'oven');
    await register('oven', 'kitchen');
    expect(heights('pan', 'oven', 'kitchen')).toEqual([1, 2, 3]);
    await register('house');
    await register('hall', 'house');
    await register('kitchen', 'house');
    expect(heights('house', 'hall')).toEqual([4, 1]);
    await core.tree.divide('kitchen', { heirs: { oven: 'hall' } });
    expect(heights('house', 'hall')).toEqual([4, 3]);
    await core.tree.dissolve('hall', {});
    await register('lid', 'pan');
    expect(heights('oven', 'house')).toEqual([3, 4]);
    core = await core.restart();
    expect(heights('oven', 'house')).toEqual([3, 4]);
  });

  it('is that of one without children when the last has gone', async () => {
    await chain('x', 3);
    await core.tree.move('x2', { parent: null });
    expect(heights('x1', 'x2')).toEqual([1, 2]);
  });

  it('makes room where a tall subtree was', async () => {
    const { maxTreeDepth } = LIMITS;
    await chain('x', maxTreeDepth - 2);
    await chain('y', 10);
    await register('other', 'x1');
    await core.tree.move('x2', { parent: null });
    // It may be thought as tall as before: then it is looked at again.
    expect(await codeOf(core.tree.move('x1', { parent: 'y10' }))).toBe('done');
    expect(await codeOf(core.tree.move('x2', { parent: 'y10' }))).toBe('conflict');
  });

  it('spares a move the walk over what has room anyway', async () => {
    await register('top');
    await Promise.all(Array.from({ length: 500 }, (_, index) => register(`leaf-${index}`, 'top')));
    let looked = 0;
    const view: StateView = {
      ...core.state.view,
      childIds: (namespace, id) => {
        looked += 1;
        return core.state.view.childIds(namespace, id);
      },
    };
    expect(isTooDeep(view, 'default', 'top', LIMITS.maxTreeDepth - 2)).toBe(false);
    expect(looked).toBe(0);
    expect(isTooDeep(view, 'default', 'top', LIMITS.maxTreeDepth - 1)).toBe(true);
    expect(looked).toBe(1);
  });
});
