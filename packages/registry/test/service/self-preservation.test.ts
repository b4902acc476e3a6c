import { LIMITS, type MembraneEvent, type PreservedSubtree } from '@membrane/protocol';
import type { EventDraft } from '../../src/domain/change.js';
import { describeState } from '../../src/service/state-status.js';
import { registration, RegistryCore, TICK_MS } from '../support/registry-core.js';

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
});

/** `count` members of one interval of a second, at once. */
async function registerMany(prefix: string, count: number, parent: string | null = null): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  await Promise.all(ids.map((id) => core.service.register(registration(id, { parent }))));
  return ids;
}

async function renew(ids: readonly string[]): Promise<void> {
  for (let start = 0; start < ids.length; start += LIMITS.maxHeartbeatBatch) {
    const heartbeats = ids.slice(start, start + LIMITS.maxHeartbeatBatch).map((id) => ({ id }));
    expect(core.service.heartbeatBatch({ heartbeats }).failed).toEqual([]);
  }
  await core.queue.idle();
}

/** Time passes in which only these renew, every second. */
async function passRenewing(ids: readonly string[], seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await core.pass(1_000);
    await renew(ids);
  }
}

const size = (): number => core.state.leases.size;
const preserved = (): PreservedSubtree[] => describeState(core.state, true).preservation ?? [];
const preservedNames = (): string[] =>
  preserved().map(({ subtree, n, s, held }) => `${subtree || '*'} ${s}/${n} ${held}`);
/** Beginnings and ends, in the words of the journal. */
const course = (): string[] =>
  drafts().flatMap(({ event, id, preservation }) =>
    preservation === undefined ? [] : [`${id || '*'} ${event} ${preservation.s}/${preservation.n}`],
  );
const drafts = (): EventDraft[] =>
  core.state.eventLog.changesAfter(0, Number.POSITIVE_INFINITY).flatMap(({ events }) => events);

describe('a lease that is silent to its end', () => {
  it.each([
    ['all of 19', 19, 0, 0],
    ['half of 40', 20, 20, 20],
    ['all of 20', 20, 0, 20],
    ['21 of 40', 21, 19, 40],
  ])('beside %s is kept only where most of at least 20 are', async (_, silent, renewing, left) => {
    await registerMany('silent', silent);
    const alive = await registerMany('alive', renewing);
    await passRenewing(alive, 5);
    expect(size()).toBe(left);
  });

  it('goes after 15 intervals, never early and a tick late at most', async () => {
    await registerMany('m', 20);
    await core.pass(14_900);
    expect([size(), preservedNames()]).toEqual([20, ['* 20/20 20']]);
    await core.tick();
    expect([size(), preservedNames()]).toEqual([0, ['* 0/0 0']]);
  });

  it('is kept by the subtree of any ancestor, not by one beside it', async () => {
    const alive = await registerMany('alive', 60);
    await registerMany('rack', 1, 'site');
    await registerMany('deep', 20, 'rack-0');
    await registerMany('beside', 15, 'other');
    await passRenewing(alive, 5);
    expect(preservedNames()).toEqual(['rack-0 21/21 21', 'site 21/21 21']);
    expect(size()).toBe(60 + 21);
  });

  it('is kept by the other replicas of its id', async () => {
    const alive = await registerMany('alive', 60);
    for (let index = 0; index < 20; index += 1) {
      await core.service.register(registration('pool', { instance_id: `r${index}` }));
    }
    await passRenewing(alive, 5);
    expect(preservedNames()).toEqual(['pool 20/20 20']);
  });

  it('has two intervals more when it is let go', async () => {
    const ids = await registerMany('m', 40);
    await core.pass(5_500);
    const [late = '', ...back] = ids;
    await renew(back);
    expect(preservedNames()).toEqual(['* 1/40 1']);
    // It was looked at after 5 intervals, and is after 6.
    await core.pass(500);
    for (let second = 0; second < 2; second += 1) {
      expect(core.statusOf(late)).toBe('unhealthy');
      await renew(back);
      await core.pass(1_000);
    }
    expect([core.statusOf(late), size()]).toEqual([undefined, 39]);
  });

  it('is kept again where it is to go when most are silent once more', async () => {
    const ids = await registerMany('m', 40);
    const [late = '', ...others] = ids;
    await core.pass(5_500);
    // Let go at the next look; meanwhile the others fall silent again.
    await renew(others);
    await core.pass(2_500);
    expect(core.statusOf(late)).toBe('unhealthy');
    await core.pass(6_900);
    expect(core.statusOf(late)).toBe('unhealthy');
    await core.tick();
    expect([core.statusOf(late), size()]).toEqual([undefined, 39]);
  });

  it('that renews is as good as any other', async () => {
    const ids = await registerMany('m', 40);
    await core.pass(8_000);
    await renew(ids);
    expect(core.list().every(({ status }) => status === 'active')).toBe(true);
    await core.pass(1_900);
    expect(core.state.leaseCounts.of('default', '')).toMatchObject({ n: 40, s: 0, held: 0 });
    await core.pass(100);
    expect(core.state.leaseCounts.of('default', '')).toMatchObject({ n: 40, s: 40, held: 0 });
  });

  it('can be taken over, deregistered and dissolved as ever', async () => {
    const ids = await registerMany('m', 23);
    await core.pass(6_000);
    await core.service.register(registration('m-0', { lease_token: 'token-of-another-process' }));
    await core.service.deregister({ id: 'm-1', force: true });
    await core.tree.dissolve('m-2', {});
    expect(preservedNames()).toEqual(['* 20/21 20']);
    expect(core.statusOf(ids[0] ?? '')).toBe('active');
  });

  it('goes after five intervals where self-preservation is off', async () => {
    core = await core.restart(false);
    await registerMany('m', 40);
    await core.pass(4_900);
    expect(size()).toBe(40);
    await core.tick();
    expect([size(), course()]).toEqual([0, []]);
    expect(describeState(core.state, false)).not.toHaveProperty('preservation');
  });
});

describe('the preservation of a subtree', () => {
  it('begins with the first lease that is kept, and ends by itself when all are back', async () => {
    const alive = await registerMany('alive', 60);
    const rack = await registerMany('m', 30, 'rack');
    await passRenewing(alive, 4);
    // Most of it is silent, but nobody would be gone by now.
    expect([preserved(), course()]).toEqual([[], []]);
    await passRenewing(alive, 1);
    const [subtree] = preserved();
    expect(subtree).toEqual({
      namespace: 'default',
      subtree: 'rack',
      n: 30,
      s: 30,
      held: 30,
      since: core.clock.wallMs() / 1_000,
    });
    await passRenewing(alive, 3);
    await passRenewing([...alive, ...rack], 1);
    await passRenewing([...alive, ...rack], 1);
    expect(course()).toEqual(['rack preservation_started 30/30']);
    await passRenewing([...alive, ...rack], 2);
    expect(course()).toEqual(['rack preservation_started 30/30', 'rack preservation_ended 0/30']);
    expect([preserved(), size()]).toEqual([[], 90]);
  });

  it('is told with its place and a revision of its own, and changes nothing that a read would see', async () => {
    const alive = await registerMany('alive', 60);
    await core.service.register(registration('hall', { parent: 'house', heartbeat_interval_ms: 60_000 }));
    await registerMany('m', 30, 'hall');
    await passRenewing(alive, 4);
    const scope = { kind: 'subtree', namespace: 'default', id: 'house' } as const;
    const { revision } = core.state;
    await core.pass(1_000);
    const events = core.service.events({ since: String(revision) });
    expect(events).toEqual([
      expect.objectContaining({ event: 'preservation_started', id: 'hall', revision: revision + 1 }),
      expect.objectContaining({ event: 'preservation_started', id: 'house', revision: revision + 2 }),
    ]);
    const [hall] = events as [MembraneEvent];
    expect(hall).toEqual({
      revision: revision + 1,
      event: 'preservation_started',
      id: 'hall',
      namespace: 'default',
      instance_id: 'default',
      timestamp: core.clock.wallMs() / 1_000,
      before: { ancestors: ['house'] },
      after: { ancestors: ['house'] },
      preservation: { n: 31, s: 30 },
    });
    expect(core.state.marks.isChangedSince(scope, revision)).toBe(false);
  });

  it('of a whole namespace has an empty id', async () => {
    await registerMany('m', 20);
    await core.pass(5_000);
    const last = core.service.events({}).at(-1);
    expect(last).toMatchObject({ event: 'preservation_started', id: '', after: { ancestors: [] } });
    expect(preserved()).toMatchObject([{ namespace: 'default', subtree: '' }]);
  });

  it('does not flap where the number wavers around the threshold', async () => {
    const ids = await registerMany('m', 40);
    const alive = ids.slice(21);
    // Twenty stay silent, and one is for two seconds of four.
    for (let second = 1; second <= 14; second += 1) {
      await passRenewing(second % 4 === 2 ? ids.slice(20) : alive, 1);
      expect(size()).toBe(40);
    }
    await passRenewing(alive, 1);
    expect(size()).toBe(20);
    await passRenewing(ids.slice(20), 4);
    expect(course()).toEqual(['* preservation_started 21/40', '* preservation_ended 0/20']);
  });

  it('ends when the subtree is dissolved, moved away or gone', async () => {
    const alive = await registerMany('alive', 60);
    await core.service.register(registration('rack', { parent: 'site', heartbeat_interval_ms: 60_000 }));
    const members = await registerMany('m', 30, 'rack');
    await passRenewing(alive, 5);
    expect(preservedNames()).toEqual(['rack 30/31 30', 'site 30/31 30']);
    await core.tree.dissolve('rack', {});
    expect(preservedNames()).toEqual(['site 30/30 30', 'rack 0/0 0']);
    await passRenewing(alive, 3);
    expect(course().slice(2)).toEqual(['rack preservation_ended 0/0']);
    expect(core.service.events({}).at(-1)).toMatchObject({ id: 'rack', before: { ancestors: ['site'] } });
    for (const id of members) await core.service.deregister({ id, force: true });
    await passRenewing(alive, 3);
    expect(course().slice(3)).toEqual(['site preservation_ended 0/0']);
  });
});

describe('a restart', () => {
  it('forgets neither who is preserved nor since when, and removes nobody', async () => {
    const ids = await registerMany('m', 40);
    await core.pass(6_000);
    const [before] = preserved();
    core = await core.restart();
    expect(preserved()).toEqual([{ ...before, held: 0 }]);
    // Who was silent has three intervals, and half of one that is the spread here.
    await core.pass(3_500);
    expect(preserved()).toEqual([before]);
    await core.pass(4_000);
    expect(size()).toBe(40);
    await passRenewing(ids, 4);
    expect(course()).toEqual(['* preservation_started 40/40', '* preservation_ended 0/40']);
    expect((await core.restart()).state.preserved.size).toBe(0);
  });

  it('gives those that stay away 15 intervals again, two of them past', async () => {
    await registerMany('m', 40);
    await core.pass(14_000);
    core = await core.restart();
    await core.pass(13_400);
    expect(size()).toBe(40);
    await core.tick();
    expect(size()).toBe(0);
  });

  it('with everybody back ends it after a minute of calm', async () => {
    const ids = await registerMany('m', 40);
    await core.pass(6_000);
    core = await core.restart();
    await passRenewing(ids, 60);
    expect(course()).toHaveLength(1);
    await passRenewing(ids, 2);
    expect(course()).toEqual(['* preservation_started 40/40', '* preservation_ended 0/40']);
  });

  it('with self-preservation off ends it at once', async () => {
    await registerMany('m', 40);
    await core.pass(6_000);
    core = await core.restart(false);
    await core.tick();
    expect(course()).toEqual(['* preservation_started 40/40', '* preservation_ended 40/40']);
    await core.pass(3_400);
    expect(size()).toBe(0);
  });
});

describe('a store that fails', () => {
  it('does not let those go that fall silent meanwhile, though the slower ones are found so last', async () => {
    await registerMany('fast', 2_100);
    await Promise.all(
      Array.from({ length: 2_500 }, (_, index) =>
        core.service.register(registration(`slow-${index}`, { heartbeat_interval_ms: 4_000 })),
      ),
    );
    core.store.isFailing = true;
    await core.pass(9_000);
    expect(core.list().some(({ status }) => status === 'unhealthy')).toBe(false);
    core.store.isFailing = false;
    await core.pass(2_000);
    expect([size(), preservedNames()]).toEqual([4_600, ['* 4600/4600 2100']]);
    expect(course()).toEqual(['* preservation_started 4600/4600']);
  });

  it('tells the beginning when it works again', async () => {
    await registerMany('m', 20);
    await core.pass(4_900);
    core.store.isFailing = true;
    await core.pass(2_000);
    expect(course()).toEqual([]);
    core.store.isFailing = false;
    await core.pass(2_000);
    expect(course()).toEqual(['* preservation_started 20/20']);
  });
});

describe('at size', () => {
  it('10,000 that lose their network for eight intervals and come back lose nobody', async () => {
    const alive = await registerMany('alive', 12_000);
    const site = await registerMany('m', 10_000, 'site');
    await passRenewing([...alive, ...site], 2);
    await passRenewing(alive, 8);
    expect(preservedNames()).toEqual(['site 10000/10000 10000']);
    await passRenewing([...alive, ...site], 4);
    expect(size()).toBe(22_000);
    expect(core.list().every(({ status }) => status === 'active')).toBe(true);
    expect(course()).toEqual(['site preservation_started 10000/10000', 'site preservation_ended 0/10000']);
    expect(drafts().some(({ event }) => event === 'expired')).toBe(false);
  }, 180_000);

  it('a scale-down of 60% is removed after 15 intervals and a tick', async () => {
    const ids = await registerMany('m', 1_000);
    const alive = ids.slice(600);
    await passRenewing(alive, 14);
    expect([size(), preservedNames()]).toEqual([1_000, ['* 600/1000 600']]);
    await core.pass(1_000 - TICK_MS);
    expect(size()).toBe(1_000);
    await core.tick();
    expect(core.list().map(({ id }) => id)).toEqual(alive);
    await renew(alive);
    await passRenewing(alive, 3);
    expect(course()).toEqual(['* preservation_started 600/1000', '* preservation_ended 0/400']);
  }, 60_000);
});
