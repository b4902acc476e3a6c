import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { Calls, type CallsOptions } from '../../src/http/calls.js';

/** Pages of three slices, and how many of them are begun, and under way at once. */
function createPages() {
  const seen = { begun: 0, now: 0, most: 0 };
  function* listPage(): Generator<never[], undefined> {
    seen.begun += 1;
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    for (let slices = 0; slices < 3; slices += 1) yield [];
    seen.now -= 1;
    return undefined;
  }
  const answers: Promise<unknown>[] = [];
  const runner = {
    revision: () => 'log:1',
    answer: (_request: unknown, _response: unknown, call: () => unknown) => {
      answers.push(Promise.resolve(call()));
    },
  };
  const calls = new Calls({ runner, service: { listPage } } as unknown as CallsOptions);
  const ask = (limit: number): { destroyed: boolean } => {
    const response = { destroyed: false };
    const request = { url: `/list?limit=${limit}` } as unknown as IncomingMessage;
    calls.list(request, response as unknown as ServerResponse);
    return response;
  };
  return { ask, seen, answered: () => Promise.all(answers) };
}

describe('pages that are asked for at once', () => {
  it('are made one after the other where they are large', async () => {
    const { ask, seen, answered } = createPages();
    for (let count = 0; count < 5; count += 1) ask(1_000);
    expect(await answered()).toHaveLength(5);
    expect(seen).toEqual({ begun: 5, now: 0, most: 1 });
  });

  it('do not wait for large ones where they are small', async () => {
    const { ask, seen, answered } = createPages();
    ask(1_000);
    ask(10);
    await answered();
    expect(seen).toEqual({ begun: 2, now: 0, most: 2 });
  });

  it('are not made for who has left', async () => {
    const { ask, seen, answered } = createPages();
    const [first, , third] = [ask(1_000), ask(1_000), ask(1_000)];
    third.destroyed = true;
    await turn();
    first.destroyed = true;
    const [left, stayed, never] = await answered();
    expect(left).toBeUndefined();
    expect(stayed).toMatchObject({ body: '[]' });
    expect(never).toBeUndefined();
    expect(seen.begun).toBe(2);
  });
});
