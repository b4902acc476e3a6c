import type { MembraneRecord } from '@membrane/protocol';
import { codeOf, registration, RegistryCore } from '../support/registry-core.js';

const DAY_MS = 86_400_000;
const token = (name: string | number): string => `token-of-${name}`.padEnd(32, '.');

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
});

const register = (
  id: string,
  rest: Parameters<typeof registration>[1] = {},
): ReturnType<RegistryCore['service']['register']> => core.service.register(registration(id, rest));
const parentOf = (id: string): string | null | undefined =>
  core.list().find((record) => record.id === id)?.parent;
const eventsOf = (id: string): string[] => core.service.events({ membrane: id }).map(({ event }) => event);

describe('silence', () => {
  it('makes unhealthy after two intervals and ends after five, by the tick', async () => {
    await register('a', { heartbeat_interval_ms: 1_000 });
    await core.pass(1_900);
    expect(core.statusOf('a')).toBe('active');
    await core.tick();
    expect(core.statusOf('a')).toBe('unhealthy');
    await core.pass(2_900);
    expect(core.statusOf('a')).toBe('unhealthy');
    await core.tick();
    expect(core.statusOf('a')).toBeUndefined();
    expect(eventsOf('a')).toEqual(['registered', 'unhealthy', 'expired']);
  });

  it('of a moment is forgiven', async () => {
    await register('a');
    await core.pass(4_000);
    core.service.heartbeat({ id: 'a' });
    await core.queue.idle();
    expect(core.statusOf('a')).toBe('active');
    await core.pass(1_900);
    expect(core.statusOf('a')).toBe('active');
    expect(eventsOf('a')).toEqual(['registered', 'unhealthy', 'recovered']);
  });

  it('counts by the pace that was asked for last', async () => {
    await register('a', { lease_token: token('a'), heartbeat_interval_ms: DAY_MS });
    await register('a', { lease_token: token('a'), heartbeat_interval_ms: 250 });
    await core.pass(500);
    expect(core.statusOf('a')).toBe('unhealthy');
  });

  it('is looked for in few turns, however many renew and however slow a turn is', async () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => `m-${index}`);
    for (let start = 0; start < ids.length; start += 5_000)
      await Promise.all(
        ids.slice(start, start + 5_000).map((id) => register(id, { heartbeat_interval_ms: 30_000 })),
      );
    const { clock } = core;
    let longestMs = 0;
    for (let round = 0; round < 8; round += 1) {
      for (const id of ids) core.service.heartbeat({ id });
      for (const endMs = clock.monotonicMs() + 20_000; clock.monotonicMs() < endMs;) {
        clock.advance(100);
        const startMs = clock.monotonicMs();
        const ticked = core.ticker.tick().then(() => true);
        while (!(await Promise.race([ticked, new Promise((resolve) => setImmediate(resolve, false))])))
          clock.advance(140);
        longestMs = Math.max(longestMs, clock.monotonicMs() - startMs);
      }
    }
    expect(core.list().every(({ status }) => status === 'active')).toBe(true);
    expect(longestMs).toBeGreaterThan(1_000);
    expect(longestMs).toBeLessThan(4_000);
  });

  it('of the registry itself is nobody’s fault', async () => {
    await register('a');
    core.clock.advance(10 * DAY_MS);
    await core.ticker.tick();
    expect(core.statusOf('a')).toBe('active');
    await core.pass(1_900);
    expect(core.statusOf('a')).toBe('unhealthy');
  });

  it('does not come from a step of the wall clock', async () => {
    await register('a');
    for (const step of [DAY_MS, -2 * DAY_MS]) {
      core.clock.stepWall(step);
      await core.tick();
      expect(core.statusOf('a')).toBe('active');
    }
    const { last_heartbeat } = core.list()[0] as MembraneRecord;
    expect(Math.abs(last_heartbeat - core.clock.wallMs() / 1_000)).toBeLessThan(1);
  });

  it('ends nothing while the store cannot write, and what renewed meanwhile lives', async () => {
    await register('renewing');
    await register('silent');
    core.store.isFailing = true;
    for (let beat = 0; beat < 10; beat += 1) {
      await core.pass(1_000);
      core.service.heartbeat({ id: 'renewing' });
    }
    expect([core.statusOf('renewing'), core.statusOf('silent')]).toEqual(['active', 'active']);
    core.store.isFailing = false;
    await core.pass(1_300);
    expect([core.statusOf('renewing'), core.statusOf('silent')]).toEqual(['active', undefined]);
  });

  it('of thousands ends all of them, and none that renewed, where none is preserved', async () => {
    core = await core.restart(false);
    const ids = Array.from({ length: 5_000 }, (_, index) => `m-${index}`);
    await Promise.all(ids.map((id) => register(id)));
    const alive = ids.filter((_, index) => index % 100 === 0);
    for (let beat = 0; beat < 6; beat += 1) {
      await core.pass(1_000);
      core.service.heartbeatBatch({ heartbeats: alive.map((id) => ({ id })) });
    }
    expect(core.list().map(({ id }) => id)).toEqual(alive);
  });
});

describe('a restart', () => {
  it('gives a full term to who was active, three intervals to who was unhealthy', async () => {
    await register('unhealthy');
    await core.pass(2_000);
    await register('active');
    core = await core.restart();
    expect(core.state.recovering).toBe(true);
    // Half an interval is the spread here.
    await core.pass(2_400);
    expect([core.statusOf('active'), core.statusOf('unhealthy')]).toEqual(['active', 'unhealthy']);
    await core.pass(1_100);
    expect([core.statusOf('active'), core.statusOf('unhealthy')]).toEqual(['unhealthy', undefined]);
    await core.pass(2_000);
    expect(core.list()).toEqual([]);
    expect(core.state.recovering).toBe(false);
  });

  it('keeps fences, incarnations and the journal', async () => {
    const { incarnation } = await register('a', { lease_token: token(1) });
    await register('a', { lease_token: token(2) });
    await register('gone', { lease_token: token(1) });
    await core.service.deregister({ id: 'gone', force: true });
    const journal = core.service.events({});
    core = await core.restart();
    expect(core.service.events({})).toEqual(journal);
    expect(await codeOf(register('a', { lease_token: token(1) }))).toBe('superseded');
    expect(await codeOf(register('gone', { lease_token: token(1) }))).toBe('removed');
    expect((await register('a', { lease_token: token(3) })).incarnation).toBeGreaterThan(incarnation);
  });
});

describe('a name', () => {
  it('is kept from the last eight it was taken over from', async () => {
    for (let name = 1; name <= 10; name += 1) await register('a', { lease_token: token(name) });
    expect(await codeOf(register('a', { lease_token: token(2) }))).toBe('superseded');
    expect(await codeOf(() => core.service.heartbeat({ id: 'a', lease_token: token(2) }))).toBe('superseded');
    // The ninth before the present one is forgotten.
    expect(await codeOf(register('a', { lease_token: token(1) }))).toBe('done');
  });

  it('is remembered to have been taken for a day, then forgotten with all there was', async () => {
    await register('a', { lease_token: token(1), parent: 'house' });
    await core.service.deregister({ id: 'a', force: true });
    expect(await codeOf(() => core.service.heartbeat({ id: 'a', lease_token: token(1) }))).toBe('removed');
    core.clock.advance(DAY_MS - 1_000);
    await core.tick();
    expect(await codeOf(register('a', { lease_token: token(1) }))).toBe('removed');
    core.clock.advance(1_000);
    await core.tick();
    expect(await codeOf(register('a', { lease_token: token(1) }))).toBe('done');
    await core.service.deregister({ id: 'a', force: true });
    core.clock.advance(DAY_MS);
    await core.tick();
    expect(core.state.directory.node('default', 'a')).toBeUndefined();
    expect(
      await new RegistryCore(core.clock, core.store)
        .load()
        .then(({ state }) => state.directory.node('default', 'a')),
    ).toBeUndefined();
  });

  it('that was left by its holder is not taken by a delayed repetition, but by a new start', async () => {
    await register('a', { lease_token: token(1), attempt: 1 });
    await core.service.deregister({ id: 'a', lease_token: token(1) });
    expect(await codeOf(core.service.deregister({ id: 'a', lease_token: token(1) }))).toBe('done');
    expect(await codeOf(register('a', { lease_token: token(1), attempt: 1 }))).toBe('removed');
    expect(await codeOf(register('a', { lease_token: token(1), attempt: 2 }))).toBe('done');
  });

  it('keeps its place for a parent while it is vacant', async () => {
    await register('kitchen');
    await register('oven', { parent: 'kitchen' });
    await core.service.deregister({ id: 'kitchen' });
    expect(core.list()).toEqual([expect.objectContaining({ id: 'oven', parent: 'kitchen', detached: true })]);
    core.clock.advance(2 * DAY_MS);
    await core.tick();
    expect(core.state.directory.node('default', 'kitchen')).toBeDefined();
    await register('kitchen');
    expect(core.list()[1]).toMatchObject({ id: 'oven', detached: false });
  });
});

describe('late and odd calls', () => {
  it('with the highest attempt there is leave a store that loads', async () => {
    await register('a', { lease_token: token(1), attempt: Number.MAX_SAFE_INTEGER });
    await register('a', { lease_token: token(1) });
    core = await core.restart();
    expect(core.statusOf('a')).toBe('active');
  });

  it('of a replaced token neither renew nor end the lease without a token that replaced it', async () => {
    await register('a', { lease_token: token(1) });
    await register('a');
    expect(await codeOf(() => core.service.heartbeat({ id: 'a', lease_token: token(1) }))).toBe('superseded');
    expect(await codeOf(core.service.deregister({ id: 'a', lease_token: token(1) }))).toBe('superseded');
    expect(await codeOf(() => core.service.heartbeat({ id: 'a' }))).toBe('done');
  });

  it('end a subtree that is still arriving, and leave no trace of it', async () => {
    await register('p');
    await Promise.all([
      register('c', { parent: 'p' }),
      register('d'),
      core.service.deregister({ id: 'p', children: 'cascade' }),
    ]);
    core.clock.advance(DAY_MS);
    await core.tick();
    await register('c');
    expect(
      core
        .list()
        .map(({ id }) => id)
        .filter((id) => id === 'c'),
    ).toEqual(['c']);
    expect(core.state.directory.node('default', 'c')?.createdRevision).toBe(core.list().at(-1)?.revision);
  });

  it('of a name that comes and goes are not looked at anew every day for ever', async () => {
    const hour = DAY_MS / 24;
    let swept = 0;
    const take = core.state.retention.take.bind(core.state.retention);
    core.state.retention.take = (nowMs, limit) => {
      const due = take(nowMs, limit);
      swept += due.length;
      return due;
    };
    for (let run = 1; run <= 96; run += 1) {
      await register('cron', { lease_token: token(run) });
      await core.service.deregister({ id: 'cron', lease_token: token(run) });
      core.clock.advance(hour);
      await core.tick();
    }
    // Two a run, each once, a day after it.
    expect(swept).toBeLessThanOrEqual(2 * 96);
  });
});

describe('the tree', () => {
  it('takes a parent after its child, and no cycle', async () => {
    await register('c', { parent: 'b' });
    await register('b', { parent: 'a' });
    expect(core.list().map(({ id, detached }) => [id, detached])).toEqual([
      ['c', false],
      ['b', true],
    ]);
    expect(await codeOf(register('a', { parent: 'c' }))).toBe('cycle');
    expect(await codeOf(register('a', { parent: 'a' }))).toBe('cycle');
    expect(await codeOf(register('a'))).toBe('done');
  });

  it('takes no cycle from two that arrive at once', async () => {
    const codes = await Promise.all([
      codeOf(register('a', { parent: 'b' })),
      codeOf(register('b', { parent: 'a' })),
    ]);
    expect(codes).toEqual(['done', 'cycle']);
  });

  it('is at most 64 levels deep, from either end', async () => {
    for (let level = 1; level <= 64; level += 1) {
      await register(`l-${level}`, { parent: level === 1 ? null : `l-${level - 1}` });
    }
    expect(await codeOf(register('l-65', { parent: 'l-64' }))).toBe('conflict');
    await register('top');
    expect(await codeOf(register('l-1', { parent: 'top' }))).toBe('conflict');
  });

  it('moves who names another parent, and tells where it was', async () => {
    await register('a', { lease_token: token(1), parent: 'x' });
    await register('a', { lease_token: token(1), parent: 'y' });
    expect(parentOf('a')).toBe('y');
    const [, moved] = core.service.events({ membrane: 'a' });
    expect(moved).toMatchObject({
      event: 'moved',
      before: { ancestors: ['x'] },
      after: { ancestors: ['y'] },
    });
  });

  it('has one place for all replicas of an id', async () => {
    await register('pool', { instance_id: 'r1', parent: 'a' });
    expect(await codeOf(register('pool', { instance_id: 'r2', parent: 'b' }))).toBe('conflict');
    expect(await codeOf(register('pool', { instance_id: 'r2', parent: 'a' }))).toBe('done');
    expect(await codeOf(register('pool', { instance_id: 'r1', parent: 'b' }))).toBe('conflict');
    await core.service.deregister({ id: 'pool', instance_id: 'r2' });
    expect(await codeOf(register('pool', { instance_id: 'r1', parent: 'b' }))).toBe('done');
  });

  it('goes in one change with its root, where that is asked for', async () => {
    await register('a');
    await register('b', { parent: 'a', lease_token: token(1) });
    await register('c', { parent: 'b', instance_id: 'r1' });
    await register('other');
    const { revision } = await core.service.deregister({ id: 'a', children: 'cascade' });
    expect(core.list().map(({ id }) => id)).toEqual(['other']);
    const ended = core.service.events({ since: String(revision - 1) });
    expect(ended.map(({ id, event, revision: at }) => [id, event, at])).toEqual([
      ['a', 'deregistered', revision],
      ['b', 'deregistered', revision],
      ['c', 'deregistered', revision],
    ]);
    expect(await codeOf(() => core.service.heartbeat({ id: 'b', lease_token: token(1) }))).toBe('removed');
  });
});

describe('the primary instance', () => {
  it('is the oldest that is well', async () => {
    await register('pool', { instance_id: 'r1', heartbeat_interval_ms: 250 });
    await register('pool', { instance_id: 'r2', heartbeat_interval_ms: 60_000 });
    expect(core.service.discover('pool', {})[0].instance_id).toBe('r1');
    await core.pass(600);
    expect(core.service.discover('pool', {}).map(({ instance_id }) => instance_id)).toEqual(['r2', 'r1']);
  });
});

describe('a group whose commit fails', () => {
  it('leaves nothing, and everybody in it is told', async () => {
    await register('a');
    core.store.isFailing = true;
    const codes = await Promise.all([
      codeOf(register('b', { parent: 'a' })),
      codeOf(register('c', { parent: 'b' })),
      codeOf(core.service.deregister({ id: 'a' })),
    ]);
    expect(codes).toEqual(['store_unavailable', 'store_unavailable', 'store_unavailable']);
    expect(core.list().map(({ id }) => id)).toEqual(['a']);
    core.store.isFailing = false;
    expect(await codeOf(register('b'))).toBe('done');
    expect((await core.restart()).list().map(({ id }) => id)).toEqual(['a', 'b']);
  });
});
