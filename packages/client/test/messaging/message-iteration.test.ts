import { Handlers } from '../../src/messaging/handlers.js';
import { Inbox } from '../../src/messaging/inbox.js';
import { FakeClock } from '../support/fake-clock.js';

function begin() {
  const handlers = new Handlers({ concurrency: 4 });
  const inbox = new Inbox({
    handlers,
    limits: { maxInboxMessages: 10, maxInboxBytes: 1_000, handlerTries: 3 },
    clock: new FakeClock(),
    random: () => 1,
  });
  const results: [number, string][] = [];
  const offer = (payload: number): string | undefined =>
    inbox.take({ id: `m${payload}`, sender: 'cook', payload }, { sizeBytes: 1, isKept: false }, (result) => {
      results.push([payload, result.outcome === 'failed' ? result.error.code : result.outcome]);
    })?.code;
  return { handlers, inbox, results, offer };
}

const turn = (): Promise<void> => new Promise(setImmediate);
const END = { done: true, value: undefined };

describe('the iteration over messages', () => {
  it('has one processed when the next is asked for, or the loop is left', async () => {
    const { handlers, offer, results } = begin();
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const { payload } of handlers.messages()) {
        got.push([payload, results.length]);
        if (payload === 3) break;
      }
    })();
    for (const payload of [1, 2, 3, 4]) offer(payload);
    await reading;
    await turn();
    expect(got).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    expect([...results].sort()).toEqual([
      [1, 'processed'],
      [2, 'processed'],
      [3, 'processed'],
      [4, 'no_handler'],
    ]);
  });

  it('ends by its signal, before it as well', async () => {
    const { handlers } = begin();
    const end = new AbortController();
    const next = handlers.messages({ signal: end.signal }).next();
    await turn();
    end.abort();
    expect(await next).toEqual(END);
    expect(await handlers.messages({ signal: end.signal }).next()).toEqual(END);
    expect(handlers.isEmpty).toBe(true);
  });

  it('that is left before it began asks for nothing more', async () => {
    const { handlers, offer, results } = begin();
    const messages = handlers.messages();
    offer(1);
    expect(await messages.return?.()).toEqual(END);
    await turn();
    expect(handlers.isEmpty).toBe(true);
    expect(results).toEqual([[1, 'no_handler']]);
    expect(await messages.next()).toEqual(END);
  });

  it('ends when the client closes: what the loop works on is still processed, and no more comes', async () => {
    const { handlers, inbox, offer, results } = begin();
    const messages = handlers.messages();
    offer(1);
    offer(2);
    expect(await messages.next()).toMatchObject({ value: { payload: 1 } });
    const closed = inbox.close(5_000);
    handlers.endIterations();
    expect(results).toEqual([[2, 'client_closed']]);
    expect(await messages.next()).toEqual(END);
    await closed;
    expect(results).toContainEqual([1, 'processed']);
  });

  it('serves those who ask for several at once in the order in which they asked', async () => {
    const { handlers, offer, results } = begin();
    const messages = handlers.messages();
    const asked = [messages.next(), messages.next()];
    offer(1);
    offer(2);
    const got = await Promise.all(asked);
    expect(got.map(({ value }) => (value as { payload: unknown }).payload)).toEqual([1, 2]);
    expect(results).toEqual([[1, 'processed']]);
  });
});
