import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WatchedEvent } from '../../src/watching/watch.js';
import type { NamespaceClient } from '../../src/namespace-client.js';
import { useClients } from '../support/clients.js';
import { eventually } from '../support/eventually.js';
import { useProcesses } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const { start, startRegistry } = useProcesses();
const makeDirectory = useTemporaryDirectories();
const createClient = useClients();
const FOLLOWER = fileURLToPath(new URL('../fixtures/follows.mjs', import.meta.url));

async function begin() {
  const data = join(await makeDirectory(), 'data');
  const registry = await startRegistry({ data });
  const common = { registryUrl: registry.url, receive: false };
  const create = (id: string, options = {}): NamespaceClient =>
    createClient(id, { ...common, ...options }).client;
  const admin = create('admin');
  const place = (id: string, parent: string | null = null, more = {}): Promise<unknown> =>
    admin.registry.register({
      id,
      parent,
      endpoint: 'http://127.0.0.1:1',
      communicationMode: 'network',
      ...more,
    });
  const restart = async (): Promise<void> => {
    await registry.kill();
    await startRegistry({ data, port: registry.port });
  };
  return { registry, create, admin, place, restart };
}

const nameOf = (event: WatchedEvent): string =>
  event.event === 'reset' ? 'reset' : `${event.event} ${event.id}`;

/** Ids and parents that a replica holds, and those that the registry tells of. */
const held = async (client: NamespaceClient): Promise<string[]> =>
  (await client.listMembranes()).map(({ id, parent }) => `${id} < ${String(parent)}`).sort();

describe('a watch', () => {
  it('tells of each change once, in order, through a restart of the registry', async () => {
    const { create, admin, place, restart } = await begin();
    await place('kitchen');
    const { revision } = await admin.registry.status();
    const told: string[] = [];
    const stop = create('viewer').onChange((event) => told.push(nameOf(event)), { since: String(revision) });
    await place('oven', 'kitchen');
    await eventually('it is told', () => told.includes('registered oven'));
    await restart();
    await eventually('the registry is back', () =>
      place('lamp', 'kitchen').then(
        () => true,
        () => false,
      ),
    );
    await eventually('it goes on', () => told.includes('registered lamp'), 30_000);
    expect(told).toEqual(['registered oven', 'registered lamp']);
    stop();
  }, 120_000);

  it('keeps a process alive that does nothing else, also while no registry answers', async () => {
    const { registry, place, restart } = await begin();
    const follower = start(process.execPath, [FOLLOWER, JSON.stringify({ registryUrl: registry.url })]);
    await eventually('it follows', () => follower.said.stdout.includes('ready'));
    await place('oven');
    await eventually('it is told', () => follower.said.stdout.includes('registered oven'));
    await restart();
    await eventually('the registry is back', () =>
      place('lamp').then(
        () => true,
        () => false,
      ),
    );
    await eventually('it goes on', () => follower.said.stdout.includes('registered lamp'), 30_000);
    expect(follower.child.exitCode).toBeNull();
  }, 120_000);

  it('tells where self-preservation begins and ends, and a replica goes on beside it', async () => {
    const { create, place } = await begin();
    await place('rack');
    const told: WatchedEvent[] = [];
    const viewer = create('viewer', { cache: 'watch' });
    const stop = viewer.onChange((event) => told.push(event), { subtree: 'rack' });
    const ids = Array.from({ length: 25 }, (_, index) => `m-${index}`);
    await Promise.all(ids.map((id) => place(id, 'rack', { heartbeatIntervalMs: 1_000 })));
    await eventually('it ends', () => told.some(({ event }) => event === 'preservation_ended'), 60_000);
    expect(told.filter(({ event }) => event.startsWith('preservation')).map(nameOf)).toEqual([
      'preservation_started rack',
      'preservation_ended rack',
    ]);
    expect(told.filter(({ event }) => event === 'expired')).toHaveLength(ids.length);
    const started = told.findIndex(({ event }) => event === 'preservation_started');
    expect(told[started]).toMatchObject({
      before: { ancestors: [] },
      preservation: { n: 26, s: expect.any(Number) as number },
    });
    expect(started).toBeLessThan(told.findIndex(({ event }) => event === 'expired'));
    expect(await held(viewer)).toEqual(['rack < null']);
    stop();
  }, 120_000);

  it('of a subtree tells of what enters and leaves it, and ends by its signal', async () => {
    const { create, admin, place } = await begin();
    for (const [id, parent] of [['a'], ['b'], ['x', 'b'], ['y', 'x']] as const)
      await place(id, parent ?? null);
    const told: string[] = [];
    const end = new AbortController();
    const { revision } = await admin.registry.status();
    const watching = (async () => {
      for await (const event of create('viewer').watch({
        subtree: 'a',
        since: String(revision),
        signal: end.signal,
      })) {
        told.push(nameOf(event));
      }
    })();
    await admin.move('x', 'a');
    await eventually('what came along is told', () => told.includes('moved y'));
    await admin.move('x', null);
    await eventually('that it left is told', () => told.length === 3);
    expect(told).toEqual(['moved x', 'moved y', 'moved x']);
    end.abort();
    await watching;
  }, 60_000);

  it('can be left while the next change is waited for, and tells what ends it', async () => {
    const { create } = await begin();
    const viewer = create('viewer');
    const changes = viewer.watch();
    const next = changes.next();
    await changes.return?.();
    expect(await next).toMatchObject({ done: true });
    const errors: string[] = [];
    viewer.onChange(() => undefined, { since: 'nonsense', onError: ({ message }) => errors.push(message) });
    await eventually('it is refused', () => errors.length === 1);
    expect(errors[0]).toMatch(/since/);
  });

  it('of what cannot be watched is refused', async () => {
    const { create } = await begin();
    const viewer = create('viewer');
    expect(() => viewer.watch({ subtree: 'a b' })).toThrow(/subtree/);
    expect(() => viewer.watch({ ids: 'oven' as never })).toThrow(/ids must be a list of ids; got "oven"/);
    expect(() => viewer.watch({ subtree: 'a', ids: ['b'] })).toThrow(/ids must not be given together/);
    expect(() => viewer.onChange(() => undefined, { ids: [] })).toThrow(/1 to 100 ids; got 0/);
  });
});

describe('a replica', () => {
  it('is what the registry has, whatever happens to the tree', async () => {
    const { create, admin, place, restart } = await begin();
    for (const [id, parent] of [['a'], ['b'], ['c', 'b'], ['d', 'c'], ['e', 'd']] as const) {
      await place(id, parent ?? null);
    }
    const viewer = create('viewer', { cache: 'watch' });
    await viewer.replicaReady();
    expect(await held(viewer)).toEqual(await held(admin));
    expect(viewer.peek('e')).toMatchObject({ id: 'e', parent: 'd', isStale: false });
    expect(await viewer.discover('nobody')).toBeUndefined();
    const agree = async (): Promise<void> => {
      await eventually(
        'both agree',
        async () => String(await held(viewer)) === String(await held(admin)),
        30_000,
      );
    };
    await admin.move('c', 'a');
    await agree();
    await admin.dissolve('d');
    await agree();
    expect(viewer.peek('e')?.parent).toBe('c');
    await place('f', 'a');
    await admin.divide('c', { e: 'f' });
    await agree();
    expect(viewer.peek('e')?.parent).toBe('f');
    await admin.drain('f', { reason: 'new stones' });
    await eventually('it is told', () => viewer.peek('f')?.status === 'draining');
    await restart();
    await eventually('the registry is back', () =>
      place('g', 'f').then(
        () => true,
        () => false,
      ),
    );
    await agree();
    expect((await viewer.ancestors('g')).map(({ id }) => id)).toEqual(['f', 'a']);
    expect((await admin.tree('a'))[0]?.children.map(({ id }) => id)).toEqual(['f']);
  }, 120_000);

  it('never hides from a client what that has changed itself', async () => {
    const { create, place } = await begin();
    for (const id of ['a', 'b']) await place(id);
    const cook = create('cook', { cache: 'watch', parent: 'a' });
    await cook.replicaReady();
    await cook.register();
    expect(await cook.discover('cook')).toMatchObject({ parent: 'a' });
    await cook.move('cook', 'b');
    expect(await cook.parent()).toMatchObject({ id: 'b' });
    await cook.drain('a');
    expect(await cook.listMembranes({ status: 'draining' })).toMatchObject([{ id: 'a' }]);
    await cook.dissolve('b');
    expect(await cook.parent()).toBeUndefined();
    await cook.deregister();
    expect(await cook.discover('cook')).toBeUndefined();
  }, 60_000);

  it('that is waited for when the client is closed says so', async () => {
    const viewer = createClient('viewer', { registryUrl: 'http://127.0.0.1:1', cache: 'watch' }).client;
    const ready = viewer.replicaReady();
    await viewer.close();
    await expect(ready).rejects.toMatchObject({ code: 'client_closed' });
    await expect(viewer.replicaReady()).rejects.toMatchObject({ code: 'client_closed' });
  });

  it('serves while the registry is away, and says how old it is', async () => {
    const { create, place, registry } = await begin();
    await place('oven');
    const viewer = create('viewer', { cache: 'watch' });
    await viewer.replicaReady();
    await registry.kill();
    await eventually('it is noticed', () => (viewer.replicaStatus?.ageMs ?? 0) > 0);
    expect(await viewer.discover('oven')).toMatchObject({ id: 'oven', isStale: true });
    expect(viewer.peek('oven')?.isStale).toBe(true);
    expect(viewer.replicaStatus).toMatchObject({ isComplete: true, size: 1 });
    expect(await viewer.listMembranes()).toMatchObject([{ id: 'oven' }]);
  }, 60_000);

  it('hands out what nobody can change', async () => {
    const { create, place } = await begin();
    await place('oven', null, { metadata: { heat: { max: 250 } } });
    const viewer = create('viewer', { cache: 'watch' });
    await viewer.replicaReady();
    const { metadata } = (await viewer.discover('oven')) ?? {};
    expect(() => Object.assign(metadata?.heat as object, { max: 0 })).toThrow(TypeError);
  });

  it('of a subtree holds that alone, and leaves the rest to the registry', async () => {
    const { registry, create, place } = await begin();
    for (const [id, parent] of [['a'], ['x', 'a'], ['b']] as const) await place(id, parent ?? null);
    const viewer = create('viewer', { cache: { watch: 'a' } });
    await viewer.replicaReady();
    expect([viewer.peek('x')?.id, viewer.peek('b')]).toEqual(['x', undefined]);
    expect((await viewer.discover('b'))?.id).toBe('b');
    expect(await viewer.listMembranes()).toHaveLength(3);
    // Elsewhere, so the watch does not tell of it.
    await viewer.register();
    await registry.kill();
    expect(await viewer.discover('x')).toMatchObject({ id: 'x', isStale: true });
    expect(await viewer.discover('a')).toMatchObject({ id: 'a', isStale: true });
  }, 60_000);
});

describe('the choice among instances', () => {
  it('is by the strategy, passes over who drains, and learns from failures', async () => {
    const { create, admin, place } = await begin();
    for (const instanceId of ['1', '2', '3']) await place('oven', null, { instanceId });
    const client = create('cook', { balancer: { strategy: 'round-robin' } });
    const picked = new Set<string | undefined>();
    for (let time = 0; time < 3; time += 1) picked.add((await client.pick('oven'))?.instanceId);
    expect(picked.size).toBe(3);
    await admin.drain('oven', { instanceId: '1' });
    for (let time = 0; time < 20; time += 1) {
      expect((await client.pick('oven', { strategy: 'random' }))?.instanceId).not.toBe('1');
    }
    const fail = (): Promise<never> => Promise.reject(new Error('too hot'));
    const isTwo: Parameters<typeof client.pick>[1] = {
      strategy: (all) =>
        all.find(({ instance }) => instance.instanceId === '2') ?? (all[0] as (typeof all)[0]),
    };
    for (let time = 0; time < 5; time += 1)
      await expect(client.use('oven', fail, isTwo)).rejects.toThrow('too hot');
    expect(await client.use('oven', ({ instanceId }) => Promise.resolve(instanceId))).toBe('3');
    const abort = (): Promise<never> => Promise.reject(new DOMException('enough', 'AbortError'));
    const other = create('cook', { balancer: { strategy: 'round-robin' } });
    for (let time = 0; time < 5; time += 1)
      await expect(other.use('oven', abort, isTwo)).rejects.toThrow('enough');
    expect((await other.pick('oven', isTwo))?.instanceId).toBe('2');
    expect(await client.pick('nobody')).toBeUndefined();
    await expect(client.use('nobody', fail)).rejects.toMatchObject({ code: 'not_found' });
    await expect(client.pick('oven', { strategy: 'best' as never })).rejects.toThrow(
      /strategy must be one of/,
    );
  }, 60_000);
});

it.each([
  [{ strategy: 'fastest' as never }, 'balancer.strategy must be one of "round-robin"'],
  [{ subsetSize: 0 }, 'balancer.subsetSize must be a whole number from 1'],
])('the setting %p is refused', (balancer, message) => {
  expect(() => createClient('x', { balancer })).toThrow(message);
});
