import type { WatchFilter } from '../../src/domain/watch-filter.js';
import { WatchFanOut } from '../../src/service/watch-fan-out.js';
import { WatchFeed } from '../../src/service/watch-feed.js';
import { WatchText } from '../../src/service/watch-text.js';
import type { WorkStep } from '../../src/service/work-slices.js';
import { registration, RegistryCore } from '../support/registry-core.js';
import { EventStreamReader, wordsOf } from '../support/watching.js';

const STEP_ITEMS = 5;

/** A fan-out whose steps the test makes. */
async function start(maxChanges = 1_000): Promise<{
  core: RegistryCore;
  fanOut: WatchFanOut;
  addFeed: (filter?: Partial<WatchFilter>) => WatchFeed;
  /** False where nothing is left to do. */
  step: () => boolean;
}> {
  const core = await new RegistryCore(undefined, undefined, undefined, { maxChanges, maxBytes: 1e9 }).load();
  const text = new WatchText(() => core.state.logId);
  const work: WorkStep[] = [];
  const fanOut = new WatchFanOut({
    state: core.state,
    work: { add: (step) => work.push(step) },
    text,
    flusher: { schedule: () => undefined, flush: () => undefined },
    stepItems: STEP_ITEMS,
    onOwed: () => undefined,
  });
  core.listeners.push((change, revision) => {
    fanOut.noteChange(change, revision);
  });
  const addFeed = (filter: Partial<WatchFilter> = {}): WatchFeed => {
    const feed = new WatchFeed({ namespace: 'default', ...filter }, text);
    fanOut.add(feed);
    return feed;
  };
  const step = (): boolean => {
    const [next] = work;
    if (next?.() === true) work.shift();
    return work.length > 0;
  };
  return { core, fanOut, addFeed, step };
}

function heardBy(feed: WatchFeed): string[] {
  const reader = new EventStreamReader();
  reader.add(Buffer.concat(feed.take()).toString());
  return wordsOf(reader.heard);
}

const register = (core: RegistryCore, id: string, parent: string | null = null): Promise<unknown> =>
  core.service.register(registration(id, { parent }));

describe('the fan-out', () => {
  it('tells so many feeds in a step, also of one event', async () => {
    const { core, addFeed, step, fanOut } = await start();
    const feeds = Array.from({ length: 40 }, (_, index) =>
      addFeed({ ids: new Set(['hub', `own-${index}`]) }),
    );
    await register(core, 'hub');
    for (let told = 0, goesOn = true; goesOn;) {
      const before = told;
      goesOn = step();
      told = feeds.filter(({ pendingBytes }) => pendingBytes > 0).length;
      expect(told - before).toBeLessThanOrEqual(STEP_ITEMS);
    }
    expect(feeds.map(heardBy)).toEqual(feeds.map(() => ['hub registered']));
    expect([fanOut.isBetweenChanges, fanOut.position]).toEqual([true, core.state.revision]);
  });

  it('resets those who were told of a change while the log let go of what came next', async () => {
    const { core, addFeed, step } = await start(10);
    await register(core, 'house');
    for (let count = 0; count < 20; count += 1) await register(core, `spoon-${count}`, 'house');
    const feed = addFeed();
    await core.service.deregister({ id: 'house', children: 'cascade' });
    step();
    for (let count = 0; count < 20; count += 1) await register(core, `fork-${count}`);
    while (step()) continue;
    const heard = heardBy(feed);
    expect(heard.slice(0, 21).every((word) => word.endsWith('deregistered'))).toBe(true);
    expect(heard.slice(21)).toEqual(['reset']);
    await register(core, 'last');
    while (step()) continue;
    expect(heardBy(feed)).toEqual(['last registered']);
  });
});
