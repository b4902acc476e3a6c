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
