import { arrivalsBelow } from '../../src/domain/subtree-walk.js';
import { TreeAsOf } from '../../src/domain/tree-as-of.js';
import { registration, RegistryCore } from '../support/registry-core.js';

describe('a walk', () => {
  it('sees the tree as it was when it began, whatever happens meanwhile', async () => {
    const core = await new RegistryCore().load();
    const register = (id: string, parent: string | null, rest = {}): Promise<unknown> =>
      core.service.register(registration(id, { parent, ...rest }));
    await register('house', null);
    await register('shop', 'house');
    for (const id of ['a', 'b', 'c']) await register(id, 'shop');
    for (const id of ['a', 'b', 'c']) for (const n of [1, 2]) await register(`${id}${n}`, id);
    await register('a1', 'a', { instance_id: 'spare' });
    const { revision } = core.state;

    const view = new TreeAsOf(core.state.view);
    core.listeners.push(({ nodes }) => {
      view.note(nodes);
    });
    const arrivals = arrivalsBelow(view, 'default', 'house', ['shop', 'a', 'nobody']);
    const told: string[] = [];
    const meanwhile = [
      () => register('b', 'house'),
      () => register('b', null),
      () => register('b', 'shop'),
      () => register('a1', 'c1', { instance_id: 'spare' }).catch(() => undefined),
      () => register('new', 'a'),
      () => core.service.deregister({ id: 'c', children: 'cascade' }),
      () => register('c2', null),
      () => register('shop', null),
    ];
    for (let next = arrivals.next(); next.done !== true; next = arrivals.next()) {
      const { value } = next;
      if (value !== undefined) {
        told.push(`${value.id} ${value.instanceId} ${String(value.after?.join())}`);
        expect(value.instance?.revision).toBeLessThanOrEqual(revision);
      }
      await meanwhile.shift()?.();
    }
    expect(told.sort()).toEqual(
      [
        'shop default house',
        ...['a', 'b', 'c'].flatMap((id) => [
          `${id} default shop,house`,
          `${id}1 default ${id},shop,house`,
          `${id}2 default ${id},shop,house`,
        ]),
        'a1 spare a,shop,house',
      ].sort(),
    );
    expect(meanwhile).toEqual([]);
    expect(view.size).toBeGreaterThan(0);
  });
});
