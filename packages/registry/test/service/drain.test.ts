import type { MembraneRecord } from '@membrane/protocol';
import { collect, idsOf } from '../support/mail.js';
import { codeOf, registration, RegistryCore } from '../support/registry-core.js';

const token = (name: string): string => `token-of-${name}`.padEnd(32, '.');

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
});

const register = (
  id: string,
  rest: Parameters<typeof registration>[1] = {},
): ReturnType<RegistryCore['service']['register']> =>
  core.service.register(registration(id, { lease_token: token('one'), ...rest }));
const only = (): Pick<MembraneRecord, 'status' | 'drain'> => {
  const [{ status, drain } = {} as MembraneRecord] = core.list();
  return { status, drain };
};
const eventsOf = (id: string): string[] => core.service.events({ membrane: id }).map(({ event }) => event);
const beat = (): void => {
  core.service.heartbeat({ id: 'worker', lease_token: token('one') });
};

describe('a drain', () => {
  it('shows why and since when, keeps the lease, and ends', async () => {
    await register('worker');
    expect(only()).toEqual({ status: 'active', drain: undefined });
    const since = core.clock.wallMs() / 1_000;
    const { revision } = await core.tree.drain('worker', { enabled: true, reason: 'new kernel' });
    expect(only()).toEqual({ status: 'draining', drain: { reason: 'new kernel', since } });
    expect(core.service.events({ membrane: 'worker', limit: 1 })).toMatchObject([
      { event: 'draining', revision, record: { status: 'draining', drain: { reason: 'new kernel' } } },
    ]);
    await core.pass(1_500);
    beat();
    await core.pass(1_500);
    expect(core.statusOf('worker')).toBe('draining');
    expect([...core.state.directory.counts()]).toEqual([
      ['default', { active: 0, unhealthy: 0, draining: 1 }],
    ]);
    await core.tree.drain('worker', { enabled: false });
    expect(only()).toEqual({ status: 'active', drain: undefined });
    expect(eventsOf('worker')).toEqual(['registered', 'draining', 'updated']);
  });

  it('that is repeated changes its reason alone', async () => {
    await register('worker');
    await core.tree.drain('worker', { enabled: true, reason: 'disk' });
    const since = core.list()[0]?.drain?.since;
    const { revision } = core.state;
    core.clock.advance(100);
    await core.tree.drain('worker', { enabled: true, reason: 'disk' });
    expect(core.state.revision).toBe(revision);
    await core.tree.drain('worker', { enabled: true });
    expect(only().drain).toEqual({ reason: null, since });
    await core.tree.drain('worker', { enabled: false });
    await core.tree.drain('worker', { enabled: false });
    expect(eventsOf('worker')).toEqual(['registered', 'draining', 'draining', 'updated']);
  });

  it('stays through silence, which shows, and through what it recovers to', async () => {
    await register('worker');
    await core.tree.drain('worker', { enabled: true, reason: 'disk' });
    await core.pass(2_500);
    expect(only()).toMatchObject({ status: 'unhealthy', drain: { reason: 'disk' } });
    beat();
    await core.queue.idle();
    expect(only()).toMatchObject({ status: 'draining', drain: { reason: 'disk' } });
    expect(eventsOf('worker')).toEqual(['registered', 'draining', 'unhealthy', 'recovered']);
    await core.pass(2_500);
    await core.tree.drain('worker', { enabled: false });
    expect(only()).toEqual({ status: 'unhealthy', drain: undefined });
    beat();
    await core.queue.idle();
    expect(core.statusOf('worker')).toBe('active');
  });

  it('stays through restarts of the registry and registrations of the same process', async () => {
    await register('worker');
    await core.tree.drain('worker', { enabled: true, reason: 'disk' });
    core = await core.restart();
    expect(only()).toMatchObject({ status: 'draining', drain: { reason: 'disk' } });
    expect(core.service.events({ limit: 1 })).toMatchObject([{ record: { drain: { reason: 'disk' } } }]);
    await register('worker');
    expect(only()).toMatchObject({ status: 'draining', drain: { reason: 'disk' } });
    // Silent for too long, and back.
    await core.pass(8_000);
    expect(core.list()).toEqual([]);
    core = await core.restart();
    await register('worker');
    expect(only()).toMatchObject({ status: 'draining', drain: { reason: 'disk' } });
  });

  it('calls nobody alive who is silent, after a restart neither', async () => {
    await register('worker');
    await core.pass(2_500);
    core = await core.restart();
    await core.tree.drain('worker', { enabled: true });
    await core.queue.idle();
    expect(core.statusOf('worker')).toBe('unhealthy');
    expect(eventsOf('worker')).toEqual(['registered', 'unhealthy', 'draining']);
  });

  it('is over when another process takes the name', async () => {
    await register('worker');
    await core.tree.drain('worker', { enabled: true });
    await register('worker', { lease_token: token('two') });
    expect(only()).toEqual({ status: 'active', drain: undefined });
  });

  it('of one replica leaves the others, of which a healthy one is the primary', async () => {
    for (const instance_id of ['r1', 'r2', 'r3']) await register('worker', { instance_id });
    const order = (): string[] =>
      core.service.discover('worker', {}).map(({ instance_id, status }) => `${instance_id} ${status}`);
    await core.tree.drain('worker', { enabled: true, instance_id: 'r1' });
    expect(order()).toEqual(['r2 active', 'r1 draining', 'r3 active']);
    await core.pass(1_900);
    core.service.heartbeat({ id: 'worker', instance_id: 'r3', lease_token: token('one') });
    core.service.heartbeat({ id: 'worker', instance_id: 'r1', lease_token: token('one') });
    await core.pass(300);
    expect(order()).toEqual(['r3 active', 'r1 draining', 'r2 unhealthy']);
    await core.tree.drain('worker', { enabled: true });
    expect(order()).toEqual(['r1 draining', 'r2 unhealthy', 'r3 draining']);
    expect(core.service.discover('worker', {}).map(({ drain }) => drain !== undefined)).toEqual([
      true,
      true,
      true,
    ]);
  });

  it('of one replica leaves the mail to the others, except what is meant for it', async () => {
    for (const instance_id of ['r1', 'r2']) await register('worker', { instance_id });
    const collectAs = async (instanceId: string): Promise<string[]> =>
      idsOf(await collect(core, { id: 'worker', instanceId, token: token('one') }));
    const post = (id: string, more = {}): Promise<unknown> =>
      core.mailbox.post('worker', { id, sender: 'x', payload: 1, ...more }, undefined);
    await core.tree.drain('worker', { enabled: true, instance_id: 'r1' });
    await post('new');
    await post('reply', { instance_id: 'r1' });
    expect(await collectAs('r1')).toEqual(['reply']);
    expect(await collectAs('r2')).toEqual(['new']);
    await core.tree.drain('worker', { enabled: true });
    await post('last');
    expect(await collectAs('r1')).toEqual(['last']);
  });

  it('wants somebody who is there', async () => {
    await register('worker');
    expect(await codeOf(core.tree.drain('attic', { enabled: true }))).toBe('not_found');
    const call = core.tree.drain('worker', { enabled: true, instance_id: 'r9' });
    await expect(call).rejects.toMatchObject({
      code: 'not_found',
      message: 'instance_id must be a live instance of "worker", such as "default"; got "r9"',
    });
  });
});
