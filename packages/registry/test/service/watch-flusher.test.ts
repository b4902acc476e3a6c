import { setTimeout as sleep } from 'node:timers/promises';
import { HeldTexts } from '../../src/service/held-texts.js';
import { WatchFeed, type Member } from '../../src/service/watch-feed.js';
import { WatchFlusher } from '../../src/service/watch-flusher.js';
import { WatchText } from '../../src/service/watch-text.js';
import { Watcher } from '../../src/service/watcher.js';
import type { WorkStep } from '../../src/service/work-slices.js';
import { FakeClock } from '../support/fake-clock.js';
import { eventually } from '../support/eventually.js';

/** More than are written to in one step. */
const WATCHERS = 100;

/** Work that is done when a test says so. */
class ManualWork {
  #steps: WorkStep[] = [];

  get isIdle(): boolean {
    return this.#steps.length === 0;
  }

  add(step: WorkStep): void {
    this.#steps.push(step);
  }

  step(): void {
    this.#steps = this.#steps.filter((step) => !step());
  }

  finish(): void {
    while (!this.isIdle) this.step();
  }
}

function begin({ intervalMs = 1 } = {}) {
  const clock = new FakeClock();
  const work = new ManualWork();
  const flusher = new WatchFlusher({ clock, work, intervalMs });
  const feedOf = (count: number) => {
    const feed = new WatchFeed(
      { namespace: 'default', subtree: undefined, ids: undefined },
      new WatchText(() => 'log'),
    );
    const read = Array.from({ length: count }, () => [] as string[]);
    for (const texts of read) {
      const sink = {
        bufferedBytes: 0,
        write: (data: Buffer) => texts.push(data.toString()) > 0,
        end: () => undefined,
        destroy: () => undefined,
      };
      const options = {
        sink,
        held: new HeldTexts(1_024),
        maxBufferBytes: 1_024,
        onOverflow: () => undefined,
        onDrained: () => undefined,
      };
      const member: Member = { watcher: new Watcher(options), feed, isGone: false };
      feed.members.add(member);
    }
    const add = (text: string): void => {
      feed.append(Buffer.from(text));
      flusher.schedule(feed);
    };
    return { feed, read, add };
  };
  return { clock, work, flusher, feedOf };
}

/** Every timer of a millisecond or less that is set by now has fired when this one has. */
const timersFire = () => sleep(1);

describe('what is told to many', () => {
  it('goes out as one write a watcher, whatever comes while they are told of what was before', async () => {
    const { work, feedOf } = begin();
    const { add, read } = feedOf(WATCHERS);
    add('a');
    await eventually('it is being told', () => !work.isIdle);
    work.step();
    for (const text of ['b', 'c', 'd']) {
      add(text);
      await timersFire();
    }
    expect(read.filter((texts) => texts.length > 0)).toHaveLength(64);
    work.finish();
    await eventually('the rest is being told', () => !work.isIdle);
    work.finish();
    for (const texts of read) expect(texts).toEqual(['a', 'bcd']);
  });

  it('takes half of the time at most: a pause is as long as the telling was', async () => {
    const { clock, work, feedOf } = begin();
    const { add, read } = feedOf(WATCHERS);
    add('a');
    await eventually('it is being told', () => !work.isIdle);
    work.step();
    clock.advance(30);
    work.finish();
    add('b');
    // A timer for the end of the pause is set, and comes after this one.
    await timersFire();
    expect(work.isIdle).toBe(true);
    await eventually('the pause is over', () => !work.isIdle);
    work.finish();
    for (const texts of read) expect(texts).toEqual(['a', 'b']);
  });

  it('goes on soon after this process was stopped', async () => {
    const { clock, work, feedOf } = begin();
    const { add, read } = feedOf(WATCHERS);
    add('a');
    await eventually('it is being told', () => !work.isIdle);
    clock.advance(3_600_000);
    work.finish();
    add('b');
    await eventually('the pause is over', () => !work.isIdle);
    work.finish();
    for (const texts of read) expect(texts).toEqual(['a', 'b']);
  });

  it('does not hold up who comes meanwhile', async () => {
    const { work, flusher, feedOf } = begin();
    const many = feedOf(WATCHERS);
    const one = feedOf(1);
    many.add('a');
    await eventually('it is being told', () => !work.isIdle);
    work.step();
    one.add('b');
    flusher.flush(one.feed);
    many.add('c');
    work.finish();
    expect(one.read).toEqual([['b']]);
    await eventually('the rest is being told', () => !work.isIdle);
    work.finish();
    for (const texts of many.read) expect(texts).toEqual(['a', 'c']);
  });

  it('is told at once, and nothing later, when it stops', async () => {
    const { work, flusher, feedOf } = begin();
    const { add, read } = feedOf(WATCHERS);
    add('a');
    await eventually('it is being told', () => !work.isIdle);
    work.step();
    add('b');
    flusher.stop();
    for (const texts of read) expect(texts).toEqual(['a', 'b']);
    work.finish();
    await timersFire();
    expect(work.isIdle).toBe(true);
  });
});
