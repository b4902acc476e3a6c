import type { JsonObject } from '@membrane/protocol';
import type { WatchFilter } from '../../src/domain/watch-filter.js';
import type { ShownRevision } from '../../src/service/revision-log.js';
import type { WatchHub } from '../../src/service/watch-hub.js';
import { eventually } from '../support/eventually.js';
import { registration, RegistryCore } from '../support/registry-core.js';
import { FakeSink, hubOf, wordsOf } from '../support/watching.js';

const hubs: WatchHub[] = [];
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.stop();
});

async function start(
  options: Parameters<typeof hubOf>[1] = {},
  core?: RegistryCore,
): Promise<{ core: RegistryCore; hub: WatchHub }> {
  const loaded = core ?? (await new RegistryCore().load());
  const hub = hubOf(loaded, options);
  hubs.push(hub);
  return { core: loaded, hub };
}

function watch(
  hub: WatchHub,
  filter: Partial<WatchFilter> = {},
  since?: number,
  sink = new FakeSink(),
): FakeSink {
  const start: ShownRevision | undefined =
    since === undefined ? undefined : { logId: undefined, revision: since };
  const watcher = hub.open({ namespace: 'default', ...filter }, start, sink);
  sink.onDrained = () => {
    watcher.drained();
  };
  return sink;
}

/** Resolves when the last thing heard is of the present. */
async function caughtUp(core: RegistryCore, ...sinks: FakeSink[]): Promise<void> {
  await eventually('everybody has heard everything', () =>
    sinks.every(({ heard }) => heard.at(-1)?.id === core.state.revisionText),
  );
}

const register = (core: RegistryCore, id: string, parent: string | null = null, rest = {}) =>
  core.service.register(registration(id, { parent, ...rest }));

describe('a watch', () => {
  it('begins with a bookmark, and tells of what comes then, each change as a batch with one id', async () => {
    const { core, hub } = await start();
    await register(core, 'before');
    const sink = watch(hub);
    await caughtUp(core, sink);
    await register(core, 'house');
    await register(core, 'oven', 'house');
    await core.service.deregister({ id: 'house', children: 'cascade' });
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard)).toEqual([
      'bookmark',
      'house registered',
      'oven registered',
      'house deregistered',
      'oven deregistered',
    ]);
    const { logId } = core.state;
    expect(sink.heard.map(({ id }) => id)).toEqual(
      [1, 2, 3, undefined, 4].map((each) => each && `${logId}:${each}`),
    );
    expect(sink.heard.map(({ name }) => name)).toEqual(sink.heard.map(({ data }) => data.event));
    expect(sink.reader.retryMs).toBe(2_000);
    expect(sink.heard[2]?.data).toMatchObject({
      revision: 3,
      record: { parent: 'house', revision: 3 },
      after: { ancestors: ['house'] },
    });
  });

  it('goes on after any revision, and says when it has told everything', async () => {
    const { core, hub } = await start();
    for (const id of ['a', 'b', 'c']) await register(core, id);
    const sink = watch(hub, {}, 1);
    await caughtUp(core, sink);
    await register(core, 'd');
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard)).toEqual(['b registered', 'c registered', 'bookmark', 'd registered']);
  });

  it('of a subtree, of ids, of another namespace tells of those alone', async () => {
    const { core, hub } = await start();
    const subtree = watch(hub, { subtree: 'kitchen' });
    const ids = watch(hub, { ids: new Set(['oven', 'nobody']) });
    const other = watch(hub, { namespace: 'other' });
    await register(core, 'house');
    await register(core, 'kitchen', 'house');
    await register(core, 'oven', 'kitchen');
    await register(core, 'sofa', 'house');
    await register(core, 'oven', null, { namespace: 'other' });
    await core.service.deregister({ id: 'oven' });
    await eventually('all was told', () => subtree.heard.length + ids.heard.length + other.heard.length >= 8);
    expect(wordsOf(subtree.heard)).toEqual([
      'bookmark',
      'kitchen registered',
      'oven registered',
      'oven deregistered',
    ]);
    expect(wordsOf(ids.heard)).toEqual(['bookmark', 'oven registered', 'oven deregistered']);
    expect(wordsOf(other.heard)).toEqual(['bookmark', 'oven registered']);
  });

  it('hears of what moves into its subtree with everything below, and of what moves out once', async () => {
    const { core, hub } = await start();
    for (const [id, parent] of [
      ['house'],
      ['shop'],
      ['bakery', 'shop'],
      ['oven', 'bakery'],
      ['door', 'oven'],
    ] as const)
      await register(core, id, parent ?? null, { lease_token: 'a-token-of-16-characters' });
    await register(core, 'oven', 'bakery', { instance_id: 'spare' });
    const house = watch(hub, { subtree: 'house' });
    const shop = watch(hub, { subtree: 'shop' });
    await caughtUp(core, house, shop);
    await register(core, 'bakery', 'house', { lease_token: 'a-token-of-16-characters' });
    await caughtUp(core, house, shop);
    expect(wordsOf(house.heard).slice(0, 2)).toEqual(['bookmark', 'bakery moved']);
    expect(wordsOf(house.heard).slice(1).sort()).toEqual([
      'bakery moved',
      'bakery moved',
      'door moved',
      'oven moved',
      'oven moved',
    ]);
    const door = house.heard.find(({ data }) => 'id' in data && data.id === 'door');
    expect(door?.data).toMatchObject({
      revision: core.state.revision,
      record: { id: 'door', parent: 'oven' },
      after: { ancestors: ['oven', 'bakery', 'house'] },
    });
    expect(house.heard.slice(1, -1).every(({ id }) => id === undefined)).toBe(true);
    expect(wordsOf(shop.heard)).toEqual(['bookmark', 'bakery moved']);
    await register(core, 'grill', 'bakery');
    await eventually('it is live again', () => wordsOf(house.heard).includes('grill registered'));
  });

  it('hears of the children that an absent parent had when the parent comes', async () => {
    const { core, hub } = await start();
    await register(core, 'oven', 'kitchen');
    const sink = watch(hub, { subtree: 'house' });
    await register(core, 'kitchen', 'house');
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard).slice(0, 2)).toEqual(['bookmark', 'kitchen registered']);
    expect(wordsOf(sink.heard)).toContain('oven moved');
  });

  it('that goes on after something has come into its subtree hears of everything below it', async () => {
    const { core, hub } = await start();
    for (const [id, parent] of [['house'], ['shop'], ['bakery', 'shop'], ['oven', 'bakery']] as const)
      await register(core, id, parent ?? null);
    const since = core.state.revision;
    await register(core, 'bakery', 'house');
    await register(core, 'late');
    const sink = watch(hub, { subtree: 'house' }, since);
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard)).toContain('oven moved');
    // Who lost its connection before that was told must not go on behind it.
    const arrival = wordsOf(sink.heard).indexOf('oven moved');
    expect(sink.heard.slice(0, arrival).every(({ id }) => id === undefined)).toBe(true);
  });

  it('misses nothing where a tree that came in is taken apart before all of it was told', async () => {
    const { core, hub } = await start({ pace: { stepItems: 1 } });
    await register(core, 'house');
    for (const [id, parent] of [
      ['shop'],
      ['b', 'shop'],
      ['c', 'b'],
      ['d', 'c'],
      ['e', 'd'],
      ['f', 'e'],
    ] as const)
      await register(core, id, parent ?? null);
    const sink = watch(hub, { subtree: 'house' }, undefined, new FakeSink(10));
    await caughtUp(core, sink);
    sink.onRead = (text) => {
      sink.isPaused = text.includes('"parent":"b"');
    };
    await register(core, 'b', 'house');
    await eventually('it is in the middle of it', () => sink.bufferedBytes > 0);
    await register(core, 'e', 'house');
    sink.resume();
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard)).toContain('f moved');
  });

  it('misses nothing where a tree that came in is taken apart by the very next change', async () => {
    const { core, hub } = await start();
    await register(core, 'house');
    for (const [id, parent] of [['shop'], ['b', 'shop'], ['c', 'b'], ['d', 'c']] as const)
      await register(core, id, parent ?? null);
    const sink = watch(hub, { subtree: 'house' });
    await caughtUp(core, sink);
    await Promise.all([register(core, 'b', 'house'), register(core, 'c', 'house')]);
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard)).toContain('d moved');
  });

  it('of a large subtree that moves while it goes on changing is complete', async () => {
    const { core, hub } = await start();
    await register(core, 'house');
    await register(core, 'shop');
    await register(core, 'bakery', 'shop');
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => register(core, `oven-${index}`, 'bakery')));
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => register(core, `door-${index}`, `oven-${index}`)),
    );
    const sink = watch(hub, { subtree: 'house' });
    await caughtUp(core, sink);
    const moving = register(core, 'bakery', 'house');
    // Within the subtree, so that no event of its own brings the door along.
    const busy = Promise.all(
      Array.from({ length: 500 }, (_, index) => register(core, `oven-${999 - index}`, 'house')),
    );
    await Promise.all([moving, busy]);
    await register(core, 'end', 'house');
    await caughtUp(core, sink);
    const told = new Set(sink.heard.flatMap(({ data }) => ('id' in data ? [data.id] : [])));
    expect(told.size).toBe(2_002);
  });

  it.each([
    ['another log', { logId: 'other', revision: 1 }, 'other_log'],
    ['before the log begins', { logId: undefined, revision: 1 }, 'too_old'],
  ] as const)('from %s is told so, and goes on', async (_, from, reason) => {
    const core = await new RegistryCore(undefined, undefined, undefined, {
      maxChanges: 5,
      maxBytes: 1e6,
    }).load();
    const { hub } = await start({}, core);
    for (let count = 0; count < 20; count += 1) await register(core, `m-${count}`);
    const sink = new FakeSink();
    hub.open({ namespace: 'default' }, from, sink);
    await caughtUp(core, sink);
    await register(core, 'next');
    await caughtUp(core, sink);
    expect(sink.heard.map(({ data }) => data)).toMatchObject([
      { event: 'reset', reason, revision: 20 },
      { event: 'registered', id: 'next' },
    ]);
  });

  it('that does not read loses what waits, holds little, and is told so when it reads again', async () => {
    const { core, hub } = await start({ maxBufferBytes: 8_000 });
    const slow = watch(hub, {}, undefined, new FakeSink(1_000));
    const prompt = watch(hub);
    await caughtUp(core, slow, prompt);
    slow.isPaused = true;
    for (let count = 0; count < 100; count += 1) {
      await register(core, `m-${count}`);
      await caughtUp(core, prompt);
    }
    expect(slow.maxBufferedBytes).toBeLessThan(3_000);
    slow.resume();
    await caughtUp(core, slow);
    expect(slow.heard.at(-1)?.data).toEqual({
      event: 'reset',
      reason: 'too_slow',
      revision: core.state.revision,
    });
    await register(core, 'next');
    await caughtUp(core, slow, prompt);
    expect(wordsOf(slow.heard).slice(-2)).toEqual(['reset', 'next registered']);
    expect(wordsOf(prompt.heard)).toHaveLength(102);
  });

  it('that pauses for a moment misses nothing', async () => {
    const { core, hub } = await start();
    const sink = watch(hub, {}, undefined, new FakeSink(1_000));
    const prompt = watch(hub);
    await caughtUp(core, sink, prompt);
    sink.isPaused = true;
    for (let count = 0; count < 20; count += 1) {
      await register(core, `m-${count}`);
      await caughtUp(core, prompt);
    }
    sink.resume();
    await caughtUp(core, sink);
    expect(wordsOf(sink.heard)).toEqual(wordsOf(prompt.heard));
  });

  it('holds up nobody of its subtree when it does not read while much comes in', async () => {
    const { core, hub } = await start({ pace: { patienceMs: 20 } });
    await register(core, 'house');
    await register(core, 'bakery');
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => register(core, `oven-${index}`, 'bakery')));
    const slow = watch(hub, { subtree: 'house' }, undefined, new FakeSink(1_000));
    const prompt = watch(hub, { subtree: 'house' });
    await caughtUp(core, slow, prompt);
    slow.isPaused = true;
    await register(core, 'bakery', 'house');
    await caughtUp(core, prompt);
    expect(prompt.heard.length).toBeGreaterThan(1_000);
    slow.resume();
    await caughtUp(core, slow);
    expect(wordsOf(slow.heard).at(-1)).toBe('reset');
  });

  it('is told to begin anew, or ends, where a change cannot be told', async () => {
    const core = await new RegistryCore().load();
    const errors: unknown[] = [];
    const hub = hubOf(core, {}, { onError: (error) => errors.push(error) });
    hubs.push(hub);
    await register(core, 'a');
    const live = watch(hub);
    await caughtUp(core, live);
    const metadata: JsonObject = {};
    const instance = core.state.directory.node('default', 'a')?.instances[0];
    if (instance === undefined) throw new Error('it is not there');
    core.state.eventLog.append({
      revision: 1.5,
      atMs: 0,
      events: [
        {
          event: 'updated',
          namespace: 'default',
          id: 'a',
          instanceId: 'default',
          parent: null,
          instance: { ...instance, metadata },
        },
      ],
    });
    metadata['itself'] = metadata;
    await register(core, 'b');
    await caughtUp(core, live);
    const late = watch(hub, {}, 1);
    await eventually('its stream has ended', () => late.state === 'ended');
    await register(core, 'c');
    await caughtUp(core, live);
    expect(wordsOf(live.heard)).toEqual(['bookmark', 'reset', 'c registered']);
    expect(errors).toHaveLength(2);
  });

  it('gets bookmarks while it is quiet', async () => {
    const { core, hub } = await start({ pace: { bookmarkMs: 5 } });
    const sink = watch(hub);
    await register(core, 'x', null, { namespace: 'other' });
    await eventually('there are some', () => sink.heard.length > 3);
    expect(new Set(wordsOf(sink.heard))).toEqual(new Set(['bookmark']));
    expect(sink.heard.at(-1)?.id).toBe(core.state.revisionText);
  });

  it('gets many changes by few writes', async () => {
    const { core, hub } = await start({ pace: { flushMs: 50 } });
    const sinks = Array.from({ length: 20 }, () => watch(hub));
    await caughtUp(core, ...sinks);
    await Promise.all(Array.from({ length: 200 }, (_, index) => register(core, `m-${index}`)));
    await caughtUp(core, ...sinks);
    for (const { heard, writes } of sinks) {
      expect(heard).toHaveLength(201);
      expect(writes).toBeLessThan(30);
    }
  });

  it('costs nothing when it is over, and there are never too many', async () => {
    const { core, hub } = await start({ maxStreams: 3 });
    const sinks = [1, 2, 3].map(() => new FakeSink());
    const watchers = sinks.map((sink) => hub.open({ namespace: 'default' }, undefined, sink));
    expect(() => {
      hub.checkRoom();
    }).toThrow('3 watch already');
    for (const watcher of watchers) hub.close(watcher);
    expect(hub.size).toBe(0);
    await register(core, 'a');
    hub.checkRoom();
    expect(sinks.flatMap(({ heard }) => wordsOf(heard))).not.toContain('a registered');
  });

  it('ends with what was still to be told', async () => {
    const { core, hub } = await start({ pace: { flushMs: 10_000 } });
    const sink = watch(hub);
    const stuck = watch(hub, {}, undefined, Object.assign(new FakeSink(10), { isPaused: true }));
    await register(core, 'a');
    await new Promise(setImmediate);
    await register(core, 'b');
    hub.stop();
    expect([sink.state, stuck.state]).toEqual(['ended', 'destroyed']);
    expect(wordsOf(sink.heard)).toEqual(['bookmark', 'a registered', 'b registered']);
  });
});
