import type { MembraneError, MembraneEvent, MembraneRecord, MembraneTree } from '@membrane/protocol';
import { codeOf, registration, RegistryCore } from '../support/registry-core.js';
import { forestOf, outline, treeOf } from '../support/tree.js';

const token = (name: string): string => `token-of-${name}`.padEnd(32, '.');
const DAY_MS = 86_400_000;

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
});

const register = (
  id: string,
  parent: string | null = null,
  rest: Parameters<typeof registration>[1] = {},
): ReturnType<RegistryCore['service']['register']> =>
  core.service.register(registration(id, { parent, heartbeat_interval_ms: DAY_MS, ...rest }));
const shape = async (): Promise<string> => outline(await forestOf(core));
const recordOf = (id: string): MembraneRecord | undefined => core.list().find((record) => record.id === id);
const lastEvents = (count: number): MembraneEvent[] => core.service.events({ limit: count });
const errorOf = async (call: Promise<unknown> | (() => unknown)): Promise<MembraneError> => {
  try {
    await (typeof call === 'function' ? call() : call);
  } catch (error) {
    return error as MembraneError;
  }
  throw new Error('it was not refused');
};
const listed = (query: Parameters<RegistryCore['service']['listAll']>[0]): string[] =>
  [...core.service.listAll(query, [])].flat().map(({ id }) => id);

/** house(kitchen(oven(pan) sink) hall) */
async function furnish(): Promise<void> {
  await register('house');
  await register('kitchen', 'house', { lease_token: token('kitchen') });
  await register('hall', 'house');
  await register('oven', 'kitchen');
  await register('sink', 'kitchen');
  await register('pan', 'oven');
}

describe('a move', () => {
  beforeEach(furnish);

  it('takes the subtree along and is told with the places before and after', async () => {
    const { revision } = await core.tree.move('oven', { parent: 'hall' });
    expect(await shape()).toBe('house(kitchen(sink) hall(oven(pan)))');
    expect(lastEvents(1)).toMatchObject([
      {
        event: 'moved',
        id: 'oven',
        revision,
        record: { parent: 'hall', revision },
        before: { ancestors: ['kitchen', 'house'] },
        after: { ancestors: ['hall', 'house'] },
      },
    ]);
    expect(recordOf('oven')).toMatchObject({ parent: 'hall', revision, detached: false });
    await core.tree.move('hall', { parent: null });
    expect(await shape()).toBe('house(kitchen(sink)) hall(oven(pan))');
  });

  it('to where it stands changes nothing', async () => {
    const { revision } = core.state;
    expect(await core.tree.move('oven', { parent: 'kitchen' })).toEqual({ success: true, revision });
    expect(core.state.revision).toBe(revision);
  });

  it('is not undone by a registration that asks for what it asked before, also after a restart', async () => {
    await core.tree.move('kitchen', { parent: 'hall' });
    core = await core.restart();
    expect((await register('kitchen', 'house', { lease_token: token('kitchen') })).parent).toBe('hall');
    expect((await register('kitchen', 'house', { lease_token: token('successor') })).parent).toBe('hall');
    expect((await register('kitchen', null, { lease_token: token('successor') })).parent).toBeNull();
    expect(lastEvents(1)).toMatchObject([{ event: 'moved', after: { ancestors: [] } }]);
  });

  it.each([
    ['itself', 'kitchen', 'kitchen', 'cycle', 'parent must be another membrane than "kitchen" itself'],
    ['one below it', 'house', 'pan', 'cycle', 'parent must not stand below "house"; got "pan"'],
    ['nobody', 'oven', 'attic', 'not_found', 'parent must be a membrane that is there, or null'],
  ])('under %s is refused', async (_, id, parent, code, message) => {
    const error = await errorOf(core.tree.move(id, { parent }));
    expect(error).toMatchObject({ code, details: { errors: [{ path: 'parent' }] } });
    expect(error.message).toContain(message);
    expect(await shape()).toBe('house(kitchen(oven(pan) sink) hall)');
  });

  it('of nobody is refused', async () => {
    expect((await errorOf(core.tree.move('attic', { parent: null }))).message).toBe(
      'no membrane "attic" in namespace "default"',
    );
  });

  it('is refused where it would make the tree too deep', async () => {
    for (let level = 1; level <= 62; level += 1) {
      await register(`d${level}`, level === 1 ? null : `d${level - 1}`);
    }
    const error = await errorOf(core.tree.move('kitchen', { parent: 'd62' }));
    expect(error.code).toBe('conflict');
    expect(error.message).toContain('at most 64 levels, and "d62" is on level 62');
    await core.tree.move('oven', { parent: 'd62' });
    expect(await codeOf(register('crumb', 'pan'))).toBe('conflict');
    await core.tree.dissolve('d1', {});
    expect(await codeOf(register('crumb', 'pan'))).toBe('done');
    expect(await codeOf(core.tree.move('d2', { parent: 'house' }))).toBe('conflict');
  }, 60_000);

  it('many at once never make a cycle', async () => {
    const answers = await Promise.allSettled([
      core.tree.move('kitchen', { parent: 'hall' }),
      core.tree.move('hall', { parent: 'pan' }),
      core.tree.move('house', { parent: 'sink' }),
      core.tree.move('pan', { parent: 'hall' }),
    ]);
    expect(
      answers.map((answer) =>
        answer.status === 'fulfilled' ? 'done' : (answer.reason as MembraneError).code,
      ),
    ).toEqual(['done', 'cycle', 'cycle', 'done']);
    expect(await shape()).toBe('house(hall(kitchen(oven sink) pan))');
  });

  it('happens only to the state that it was meant for', async () => {
    const seen = recordOf('oven')?.revision ?? 0;
    await core.tree.move('oven', { parent: 'hall', if_revision: seen });
    const error = await errorOf(core.tree.move('oven', { parent: 'kitchen', if_revision: seen }));
    expect(error).toMatchObject({ code: 'conflict', details: { errors: [{ path: 'if_revision' }] } });
    expect(error.message).toContain(`${recordOf('oven')?.revision}; got ${seen}`);
    expect(recordOf('oven')?.parent).toBe('hall');
  });

  it('is all replicas’, and a replica may name either place', async () => {
    await register('worker', 'kitchen', { instance_id: 'r1' });
    await register('worker', 'kitchen', { instance_id: 'r2' });
    const { revision } = await core.tree.move('worker', { parent: 'hall' });
    expect(lastEvents(2).map(({ event, instance_id, revision: at }) => [event, instance_id, at])).toEqual([
      ['moved', 'r1', revision],
      ['moved', 'r2', revision],
    ]);
    expect((await register('worker', 'kitchen', { instance_id: 'r3' })).parent).toBe('hall');
    expect((await register('worker', 'hall', { instance_id: 'r4' })).parent).toBe('hall');
    expect((await register('worker', 'kitchen', { instance_id: 'r1' })).parent).toBe('hall');
    expect(await codeOf(register('worker', 'house', { instance_id: 'r5' }))).toBe('conflict');
  });

  it('of a membrane that is away holds when it comes back', async () => {
    await core.service.deregister({ id: 'kitchen', force: true });
    await core.tree.move('kitchen', { parent: 'hall' });
    expect(lastEvents(1)).toMatchObject([{ event: 'moved', id: 'kitchen' }]);
    expect((await register('kitchen', 'house')).parent).toBe('hall');
    expect(await shape()).toBe('house(hall(kitchen(oven(pan) sink)))');
  });
});

describe('a dissolution', () => {
  beforeEach(furnish);

  it('gives the children to the parent by one change, whatever their number', async () => {
    await Promise.all(Array.from({ length: 600 }, (_, index) => register(`spoon-${index}`, 'kitchen')));
    const before = core.state.revision;
    const { revision } = await core.tree.dissolve('kitchen', {});
    expect(revision).toBe(before + 1);
    expect(core.state.revision).toBe(revision);
    expect(recordOf('spoon-7')).toMatchObject({ parent: 'house', detached: false });
    expect(listed({ parent: 'house' })).toHaveLength(603);
    expect((await treeOf(core, 'house')).children).toHaveLength(603);
    expect(listed({ subtree: 'house' })).toHaveLength(605);
    // The sweeper goes on in slices, of which nobody sees anything.
    const events = core.service.events({ limit: 10_000 }).length;
    const records = core.list();
    await core.tick(2);
    expect([...core.state.directory.childIds('default', 'kitchen')]).toEqual([]);
    expect(core.state.directory.childIds('default', 'house').size).toBe(603);
    expect(core.list()).toEqual(records);
    expect(core.service.events({ limit: 10_000 })).toHaveLength(events);
  });

  it('is told with the heir, and its holder is told that it was removed', async () => {
    const { revision } = await core.tree.dissolve('kitchen', {});
    expect(lastEvents(1)).toEqual([
      expect.objectContaining({
        event: 'dissolved',
        id: 'kitchen',
        revision,
        before: { ancestors: ['house'] },
        after: { ancestors: ['house'], heir: 'house' },
      }),
    ]);
    const heartbeat = (): void => {
      core.service.heartbeat({ id: 'kitchen', lease_token: token('kitchen') });
    };
    expect(await codeOf(heartbeat)).toBe('removed');
    expect(await codeOf(register('kitchen', 'house', { lease_token: token('kitchen') }))).toBe('removed');
    expect((await errorOf(() => core.service.discover('kitchen', {}))).message).toBe(
      '"kitchen" in namespace "default" was dissolved; its heir is "house"',
    );
    for (const call of [core.tree.move('kitchen', { parent: null }), core.tree.dissolve('kitchen', {})]) {
      expect((await errorOf(call)).message).toContain('its heir is "house"');
    }
    core = await core.restart();
    expect(await codeOf(heartbeat)).toBe('removed');
    expect(lastEvents(1)).toMatchObject([{ event: 'dissolved', after: { heir: 'house' } }]);
  });

  it('tells so to every instance, however many there are', async () => {
    const names = Array.from({ length: 400 }, (_, index) => `i${index}`);
    for (const instance_id of names) {
      await register('web', null, { instance_id, lease_token: token(instance_id) });
    }
    await core.tree.dissolve('web', {});
    const codes = names.map((instance_id) => () => {
      core.service.heartbeat({ id: 'web', instance_id, lease_token: token(instance_id) });
    });
    expect(new Set(await Promise.all(codes.map(codeOf)))).toEqual(new Set(['removed']));
  });

  it('of one after the other leads to the last heir, also after restarts in between', async () => {
    await core.tree.dissolve('oven', {});
    core = await core.restart();
    await core.tree.dissolve('kitchen', {});
    core = await core.restart();
    expect(await shape()).toBe('house(hall sink pan)');
    expect(core.service.discover('pan', {})[0].parent).toBe('house');
    await core.tree.dissolve('house', {});
    expect(await shape()).toBe('hall sink pan');
    expect(lastEvents(1)).toMatchObject([{ after: { ancestors: [], heir: null } }]);
    await core.tick(3);
    core = await core.restart();
    expect(await shape()).toBe('hall sink pan');
  });

  it('does not keep the name: whoever registers it anew has none of the old children', async () => {
    await core.tree.dissolve('kitchen', {});
    await register('kitchen', 'hall');
    expect(await shape()).toBe('house(hall(kitchen) oven(pan) sink)');
    expect((await register('oven', 'kitchen')).parent).toBe('house');
    expect((await register('cup', 'kitchen')).parent).toBe('kitchen');
    core = await core.restart();
    expect(await shape()).toBe('house(hall(kitchen(cup)) oven(pan) sink)');
  });

  it('does not keep the name when it is registered in the same moment', async () => {
    await Promise.all([
      core.tree.dissolve('kitchen', {}),
      register('kitchen', 'hall'),
      register('oven', 'kitchen'),
    ]);
    expect(await shape()).toBe('house(hall(kitchen) oven(pan) sink)');
  });

  it('means the heir to those who name it later', async () => {
    await core.tree.dissolve('kitchen', {});
    expect((await register('cup', 'kitchen')).parent).toBe('house');
    expect(await codeOf(core.tree.move('hall', { parent: 'kitchen' }))).toBe('not_found');
    expect(await codeOf(register('house', 'kitchen'))).toBe('cycle');
  });

  it('is forgotten after a day', async () => {
    await core.tree.dissolve('kitchen', {});
    await core.tick(2);
    core.clock.advance(DAY_MS);
    await core.tick(2);
    expect(core.state.directory.node('default', 'kitchen')).toBeUndefined();
    expect((await errorOf(() => core.service.discover('kitchen', {}))).message).toContain('no membrane');
    core = await core.restart();
    expect(await shape()).toBe('house(hall oven(pan) sink)');
  });

  it('changes nothing where it cannot be stored', async () => {
    core.store.isFailing = true;
    expect(await codeOf(core.tree.dissolve('kitchen', {}))).toBe('store_unavailable');
    core.store.isFailing = false;
    expect(await shape()).toBe('house(kitchen(oven(pan) sink) hall)');
  });

  it('of an absent parent attaches its children again', async () => {
    await core.service.deregister({ id: 'kitchen', force: true });
    expect(recordOf('oven')).toMatchObject({ parent: 'kitchen', detached: true });
    expect(await shape()).toBe('house(hall) oven(pan) sink');
    await core.tree.dissolve('kitchen', {});
    expect(await shape()).toBe('house(hall oven(pan) sink)');
  });
});

describe('a division', () => {
  beforeEach(async () => {
    await furnish();
    await register('bath', 'house');
  });

  it('gives each child to the sibling that is named for it, the others to the parent', async () => {
    await register('cup', 'kitchen');
    const { revision } = await core.tree.divide('kitchen', { heirs: { oven: 'hall', sink: 'bath' } });
    expect(await shape()).toBe('house(hall(oven(pan)) bath(sink) cup)');
    expect(lastEvents(1)).toMatchObject([
      {
        event: 'dissolved',
        id: 'kitchen',
        revision,
        after: { ancestors: ['house'], heir: 'house', heirs: { oven: 'hall', sink: 'bath' } },
      },
    ]);
    expect((await errorOf(() => core.service.discover('kitchen', {}))).message).toBe(
      '"kitchen" in namespace "default" was divided; its heirs are "hall", "bath", "house"',
    );
    core = await core.restart();
    await core.tree.dissolve('hall', {});
    await core.tree.divide('bath', { heirs: { sink: 'oven' } });
    expect(await shape()).toBe('house(oven(sink pan) cup)');
    await core.tick(3);
    core = await core.restart();
    expect(await shape()).toBe('house(oven(sink pan) cup)');
  });

  it.each([
    [{ pan: 'hall' }, 'heirs.pan must be given for a child of "kitchen", which "pan" is not'],
    [
      { oven: 'sink' },
      'heirs.oven must be a registered sibling of "kitchen": another child of "house"; got "sink"',
    ],
    [{ oven: 'kitchen' }, 'heirs.oven must be a registered sibling of "kitchen"'],
    [{ oven: 'attic', sink: 'hall' }, 'got "attic"'],
  ])('refuses %j', async (heirs, message) => {
    const error = await errorOf(core.tree.divide('kitchen', { heirs: heirs }));
    expect(error.code).toBe('invalid_request');
    expect(error.message).toContain(message);
    expect(await shape()).toBe('house(kitchen(oven(pan) sink) hall bath)');
  });

  it('reaches those who came by a dissolution, also when the name is taken anew at once', async () => {
    await core.tree.dissolve('oven', {});
    await core.tree.divide('kitchen', { heirs: { pan: 'hall' } });
    expect(await shape()).toBe('house(hall(pan) sink bath)');
    await register('kitchen', 'house');
    expect(await shape()).toBe('house(kitchen hall(pan) sink bath)');
    core = await core.restart();
    expect(await shape()).toBe('house(kitchen hall(pan) sink bath)');
  });

  it('wants heirs that are there', async () => {
    await core.service.deregister({ id: 'hall' });
    expect(await codeOf(core.tree.divide('kitchen', { heirs: { oven: 'hall' } }))).toBe('invalid_request');
  });
});

describe('a deregistration', () => {
  beforeEach(furnish);

  it('with cascade takes along what came by a dissolution, by one revision', async () => {
    await core.tree.dissolve('kitchen', {});
    const { revision } = await core.service.deregister({ id: 'house', children: 'cascade' });
    expect(core.list()).toEqual([]);
    const events = lastEvents(5);
    expect(new Set(events.map((event) => `${event.event} ${event.revision}`))).toEqual(
      new Set([`deregistered ${revision}`]),
    );
    expect(events.map(({ id }) => id).sort()).toEqual(['hall', 'house', 'oven', 'pan', 'sink']);
  });

  it('with cascade keeps the children while another instance of the id is there', async () => {
    await register('kitchen', 'house', { instance_id: 'r2', lease_token: token('r2') });
    await core.service.deregister({ id: 'kitchen', force: true, children: 'cascade' });
    expect(await shape()).toBe('house(kitchen(oven(pan) sink) hall)');
    await core.service.deregister({
      id: 'kitchen',
      instance_id: 'r2',
      lease_token: token('r2'),
      children: 'cascade',
    });
    expect(await shape()).toBe('house(hall)');
  });

  it('with cascade ends so many at once and refuses more, in words and with nothing changed', async () => {
    const spoons = (count: number): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, (_, index) => register(`spoon-${index}`, 'sink')));
    await spoons(1_001);
    const before = core.list();
    const tooMany = await errorOf(core.service.deregister({ id: 'sink', children: 'cascade' }));
    expect(tooMany.code).toBe('conflict');
    expect(tooMany.message).toMatch(/more than 1000 registrations .* below "sink".*subtrees of it first/);
    expect(core.list()).toEqual(before);
    await core.service.deregister({ id: 'spoon-0' });
    await core.service.deregister({ id: 'sink', children: 'cascade' });
    expect(await shape()).toBe('house(kitchen(oven(pan)) hall)');
  });

  it('with cascade looks at so many places, the left ones too', async () => {
    const ids = Array.from({ length: 10_001 }, (_, index) => `spoon-${index}`);
    await register('sink', 'kitchen');
    for (let start = 0; start < ids.length; start += 500) {
      const some = ids.slice(start, start + 500);
      await Promise.all(some.map((id) => register(id, 'sink')));
      await Promise.all(some.map((id) => core.service.deregister({ id })));
    }
    const { code, message } = await errorOf(core.service.deregister({ id: 'sink', children: 'cascade' }));
    expect([code, message]).toEqual([
      'conflict',
      expect.stringMatching(/more than 10000 ids stand below "sink"/),
    ]);
    expect(await codeOf(core.service.deregister({ id: 'sink' }))).toBe('done');
  });

  it('without it leaves the children detached, each the top of a tree', async () => {
    await core.service.deregister({ id: 'kitchen', force: true });
    expect(await shape()).toBe('house(hall) oven(pan) sink');
    expect((await forestOf(core)).map(({ id, parent, detached }) => [id, parent, detached])).toEqual([
      ['house', null, false],
      ['oven', 'kitchen', true],
      ['sink', 'kitchen', true],
    ]);
    await register('kitchen', 'house');
    expect(await shape()).toBe('house(kitchen(oven(pan) sink) hall)');
  });
});

describe('reading the tree', () => {
  beforeEach(furnish);

  it('goes as deep as it is asked', async () => {
    expect(outline(await forestOf(core, 0))).toBe('house');
    expect(outline(await forestOf(core, 1))).toBe('house(kitchen hall)');
    expect(outline([await treeOf(core, 'kitchen', 1)])).toBe('kitchen(oven sink)');
    const counts = { active: 1, unhealthy: 0, draining: 0 };
    expect(await treeOf(core, 'oven')).toEqual({
      ...core.service.discover('oven', {})[0],
      counts,
      children: [{ ...core.service.discover('pan', {})[0], counts, children: [] }],
    });
    expect(await codeOf(treeOf(core, 'attic'))).toBe('not_found');
  });

  it('shows one moment, however long it takes and whatever moves meanwhile', async () => {
    const ids = Array.from({ length: 5_000 }, (_, index) => `spoon-${index}`);
    await Promise.all(
      ids.map((id, index) => register(id, index === 0 ? 'sink' : `spoon-${(index - 1) >> 1}`)),
    );
    const moves = (async () => {
      for (let round = 0; round < 20; round += 1) {
        await core.tree.move('spoon-1', { parent: round % 2 === 0 ? 'hall' : 'sink' });
        await core.tree.move('spoon-2', { parent: round % 2 === 0 ? 'sink' : 'spoon-0' });
      }
    })();
    for (let round = 0; round < 5; round += 1) {
      const names = outline(await forestOf(core))
        .split(/[ ()]+/)
        .filter((name) => name.startsWith('spoon'));
      expect(names.length).toBe(5_000);
      expect(new Set(names).size).toBe(5_000);
    }
    await moves;
    expect(listed({ subtree: 'house' })).toHaveLength(5_006);
  }, 60_000);

  it.each([undefined, 'house'])(
    'is of one revision, whatever changes meanwhile (%s)',
    async (id) => {
      const ids = Array.from({ length: 5_000 }, (_, index) => `spoon-${index}`);
      await Promise.all(ids.map((id) => register(id, 'sink')));
      const { revisionText } = core.state;
      const shown = id === undefined ? core.tree.tree(undefined, {}) : core.tree.tree(id, {});
      const changes = Promise.all([
        core.tree.move('spoon-1', { parent: 'hall' }),
        core.tree.move('spoon-4000', { parent: null }),
        core.tree.dissolve('sink', {}),
        core.tree.drain('house', { enabled: true }),
        core.service.deregister({ id: 'pan' }),
        register('late', 'house'),
      ]);
      const { revision, pieces } = await shown;
      await changes;
      expect(revision).toBe(revisionText);
      const [house] = [JSON.parse([...pieces].join('')) as MembraneTree | MembraneTree[]].flat();
      expect([house?.status, outline(house?.children ?? [])]).toEqual([
        'active',
        `kitchen(oven(pan) sink(${ids.join(' ')})) hall`,
      ]);
      expect((await forestOf(core))[0]?.status).toBe('draining');
    },
    60_000,
  );

  it('lists pages of what is rare, after looking at so many each', async () => {
    const ids = Array.from({ length: 12_000 }, (_, index) => `spoon-${index}`);
    await Promise.all(ids.map((id) => register(id, 'sink')));
    await core.tree.drain('spoon-11999', { enabled: true });
    for (const query of [{ status: 'draining' }, { status: 'draining', subtree: 'sink' }] as const) {
      const first = core.listPage({ ...query, limit: 10 });
      expect([first.records, first.nextCursor === undefined]).toEqual([[], false]);
      const next = core.listPage({ ...query, limit: 10, cursor: first.nextCursor });
      expect([next.records.map(({ id }) => id), next.nextCursor]).toEqual([['spoon-11999'], undefined]);
    }
  }, 60_000);

  it('lists large subtrees as small ones', async () => {
    const ids = Array.from({ length: 10_100 }, (_, index) => `spoon-${index}`);
    await Promise.all(ids.map((id) => register(id, 'sink')));
    expect(listed({ subtree: 'sink' })).toEqual(['sink', ...ids]);
    expect(listed({ parent: 'sink' })).toEqual(ids);
    expect(listed({ subtree: 'house', depth: 2 })).toEqual(['house', 'kitchen', 'hall', 'oven', 'sink']);
    expect(listed({ subtree: 'kitchen' })).toEqual(['kitchen', 'oven', 'sink', 'pan', ...ids]);
  }, 60_000);

  it('lists subtrees and levels', async () => {
    expect(listed({ subtree: 'kitchen' })).toEqual(['kitchen', 'oven', 'sink', 'pan']);
    expect(listed({ subtree: 'kitchen', depth: 1 })).toEqual(['kitchen', 'oven', 'sink']);
    expect(listed({ subtree: 'kitchen', depth: 0 })).toEqual(['kitchen']);
    expect(listed({ subtree: 'kitchen', parent: 'oven' })).toEqual(['pan']);
    expect(listed({ subtree: 'hall', parent: 'oven' })).toEqual([]);
    expect(listed({ depth: 1 })).toEqual(['house', 'kitchen', 'hall']);
    expect(listed({ subtree: 'attic' })).toEqual([]);
    const { records, nextCursor } = core.listPage({ subtree: 'kitchen', limit: 3 });
    expect(records.map(({ id }) => id)).toEqual(['kitchen', 'oven', 'sink']);
    const rest = core.listPage({ subtree: 'kitchen', limit: 3, cursor: nextCursor });
    expect(rest.records.map(({ id }) => id)).toEqual(['pan']);
    await core.service.deregister({ id: 'kitchen', force: true });
    expect(listed({ subtree: 'house', depth: 2 })).toEqual(['house', 'hall', 'oven', 'sink']);
    expect(listed({ depth: 0 })).toEqual(['house', 'oven', 'sink']);
  });

  it('shows names that objects of the language have too', async () => {
    await register('constructor', 'hall');
    await register('toString', 'constructor');
    await core.tree.divide('hall', { heirs: { constructor: 'kitchen' } });
    await core.tree.dissolve('constructor', {});
    core = await core.restart();
    expect(await shape()).toBe('house(kitchen(oven(pan) sink toString))');
  });
});
