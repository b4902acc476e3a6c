import { HeldTexts } from '../../src/service/held-texts.js';
import { Watcher } from '../../src/service/watcher.js';
import { FakeSink } from '../support/watching.js';

const text = (bytes: number): Buffer => Buffer.alloc(bytes, 'x');

/** A watcher that does not read. */
function blocked(held: HeldTexts, overflown: string[] = [], name = ''): { watcher: Watcher; sink: FakeSink } {
  const sink = new FakeSink(1);
  sink.isPaused = true;
  const watcher = new Watcher({
    sink,
    held,
    maxBufferBytes: 1_000,
    onOverflow: () => overflown.push(name),
    onDrained: () => undefined,
  });
  sink.onDrained = () => {
    watcher.drained();
  };
  watcher.send(text(1));
  return { watcher, sink };
}

describe('what waits for all watchers', () => {
  it('counts a text once that waits for many, until the last has read it', () => {
    const held = new HeldTexts(1_000);
    const [one, other] = [blocked(held), blocked(held)];
    const shared = text(100);
    for (const { watcher } of [one, other]) watcher.send(shared);
    one.watcher.send(text(10));
    expect(held.bytes).toBe(110);
    one.sink.resume();
    expect(held.bytes).toBe(100);
    other.watcher.end();
    expect(held.bytes).toBe(0);
  });

  it('is dropped where it is too much, the most that waits for one first', () => {
    const held = new HeldTexts(1_000);
    const overflown: string[] = [];
    const [small, large, middle] = ['small', 'large', 'middle'].map((name) => blocked(held, overflown, name));
    small?.watcher.send(text(200));
    large?.watcher.send(text(500));
    middle?.watcher.send(text(290));
    expect([overflown, held.bytes]).toEqual([[], 990]);
    middle?.watcher.send(text(20));
    expect([overflown, held.bytes]).toEqual([['large'], 510]);
    small?.sink.resume();
    expect(held.bytes).toBe(310);
  });
});
