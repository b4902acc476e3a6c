import { TOP } from '../../src/domain/change-scopes.js';
import { registration, RegistryCore } from '../support/registry-core.js';

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
});

const register = (id: string, parent: string | null = null, instance = 'default'): Promise<unknown> =>
  core.service.register(registration(id, { parent, instance_id: instance, heartbeat_interval_ms: 60_000 }));

/** `id=n` of each subtree, with `/s` where some are silent. */
const counts = (...ids: string[]): string =>
  ids
    .map((id) => {
      const { n, s } = core.state.leaseCounts.of('default', id);
      return `${id || '*'}=${n}${s === 0 ? '' : `/${s}`}`;
    })
    .join(' ');

describe('leases', () => {
  it('are counted in the subtree of their id, those of its ancestors, and the namespace', async () => {
    await register('house');
    await register('kitchen', 'house');
    await register('oven', 'kitchen', 'r1');
    await register('oven', 'kitchen', 'r2');
    await register('oven', 'kitchen', 'r2');
    await register('shop');
    expect(counts('oven', 'kitchen', 'house', 'shop', TOP)).toBe('oven=2 kitchen=3 house=4 shop=1 *=5');
    expect(core.state.leaseCounts.above('default', 'oven').map(({ id }) => id)).toEqual([
      'oven',
      'kitchen',
      'house',
      TOP,
    ]);
    await core.service.deregister({ id: 'kitchen', children: 'cascade' });
    expect(counts('oven', 'kitchen', 'house', TOP)).toBe('oven=0 kitchen=0 house=1 *=2');
    expect(core.state.leaseCounts.above('default', 'oven')).toEqual([]);
  });

  it('count as silent from two intervals on, until they are back or gone', async () => {
    await core.service.register(registration('oven', { parent: 'kitchen' }));
    await core.pass(2_000);
    expect(counts('oven', 'kitchen', TOP)).toBe('oven=1/1 kitchen=1/1 *=1/1');
    core.service.heartbeat({ id: 'oven' });
    await core.queue.idle();
    expect(counts('oven', 'kitchen', TOP)).toBe('oven=1 kitchen=1 *=1');
    await core.pass(5_000);
    expect(counts('oven', 'kitchen', TOP)).toBe('oven=0 kitchen=0 *=0');
  });

  it('go with a subtree that is moved, and come to a parent that registers late', async () => {
    await register('oven', 'kitchen');
    await register('pan', 'oven');
    expect(counts('kitchen', 'house', TOP)).toBe('kitchen=2 house=0 *=2');
    await register('kitchen', 'house');
    await register('shop');
    expect(counts('kitchen', 'house', TOP)).toBe('kitchen=3 house=3 *=4');
    await core.tree.move('oven', { parent: 'shop' });
    expect(counts('kitchen', 'house', 'shop', TOP)).toBe('kitchen=1 house=1 shop=3 *=4');
  });

  it('of what was dissolved or divided belong to the heirs, swept or not', async () => {
    await register('house');
    for (const id of ['kitchen', 'hall', 'bath']) await register(id, 'house');
    for (const id of ['oven', 'sink', 'lamp']) await register(id, 'kitchen');
    await core.tree.divide('kitchen', { heirs: { oven: 'hall', sink: 'bath' } });
    expect(counts('kitchen', 'hall', 'bath', 'house', TOP)).toBe('kitchen=0 hall=2 bath=2 house=6 *=6');
    await core.tree.dissolve('hall', {});
    expect(counts('hall', 'bath', 'house', TOP)).toBe('hall=0 bath=2 house=5 *=5');
    await core.tick();
    expect(counts('kitchen', 'hall', 'bath', 'house', TOP)).toBe('kitchen=0 hall=0 bath=2 house=5 *=5');
    expect(core.state.leaseCounts.above('default', 'oven').map(({ id }) => id)).toEqual([
      'oven',
      'house',
      TOP,
    ]);
  });
});
