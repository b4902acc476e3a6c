import { setImmediate as turn } from 'node:timers/promises';
import type { ChangeSet } from '../../src/store/membrane-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FlakyStore, registration, RegistryCore } from '../support/registry-core.js';

/** Takes its time, and counts how many commits it is asked for at once. */
class SlowStore extends FlakyStore {
  atOnce = 0;
  mostAtOnce = 0;

  override async commit(changeSets: readonly ChangeSet[]): ReturnType<FlakyStore['commit']> {
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    this.atOnce -= 1;
    return super.commit(changeSets);
  }
}

it('never asks the store for two commits at once, not by a probe either', async () => {
  const store = new SlowStore();
  const core = await new RegistryCore(new FakeClock(), store).load();
  await Promise.all([
    core.queue.probe(),
    core.service.register(registration('a')),
    turn().then(() => core.service.register(registration('b'))),
    turn().then(() => core.queue.probe()),
  ]);
  expect(store.mostAtOnce).toBe(1);
  expect(core.list().map(({ id }) => id)).toEqual(['a', 'b']);
});

it('keeps the lease that a repeated registration was answered with, though its end was decided behind it', async () => {
  const core = await new RegistryCore(new FakeClock(), new SlowStore()).load();
  const repeat = registration('a', { lease_token: 'a-token-of-32-characters-or-more', attempt: 1 });
  await core.service.register(repeat);
  await core.pass(4_900);
  core.clock.advance(100);
  // While the store is busy both form one group.
  const busy = core.service.register(registration('b'));
  await turn();
  await turn();
  const repeated = core.service.register(repeat);
  await Promise.all([busy, repeated, core.ticker.tick()]);
  await core.queue.idle();
  expect(core.statusOf('a')).toBe('active');
});

it('writes large changes in several transactions', async () => {
  const groups: number[] = [];
  class CountingStore extends FlakyStore {
    override commit(changeSets: readonly ChangeSet[]): ReturnType<FlakyStore['commit']> {
      groups.push(changeSets.length);
      return super.commit(changeSets);
    }
  }
  const quotas = { maxMessages: 10, maxBytes: 1e8, maxTotalBytes: 1e8 };
  const core = await new RegistryCore(new FakeClock(), new CountingStore(), quotas).load();
  await core.service.register(registration('oven'));
  const payload = 'x'.repeat(1_000_000);
  await Promise.all(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((id) =>
      core.mailbox.post('oven', { id, sender: 'cook', payload }, undefined),
    ),
  );
  expect(groups).toEqual([1, 4, 2]);
});
