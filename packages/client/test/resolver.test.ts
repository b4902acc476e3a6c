import { MembraneError, type CamelCased, type DiscoveredMembrane } from '@membrane/protocol';
import { Resolver } from '../src/resolver.js';
import { FakeClock } from './support/fake-clock.js';

type Found = CamelCased<DiscoveredMembrane>;
const CACHE = { ttlMs: 5_000, negativeTtlMs: 1_000, maxStaleMs: 60_000, maxEntries: 3 };

/** A registry that answers as the test says, and counts. */
function setUp() {
  const clock = new FakeClock();
  const asked: string[] = [];
  let answer: (id: string) => Promise<Found | undefined> = (id) => Promise.resolve({ id } as Found);
  const resolver = new Resolver({
    ask: (id) => {
      asked.push(id);
      return answer(id);
    },
    cache: CACHE,
    clock,
  });
  return {
    clock,
    asked,
    resolver,
    resolve: (id: string, useCache = true) => resolver.resolve(id, { useCache, signal: undefined }),
    answerBy: (next: typeof answer) => (answer = next),
  };
}

const away = () => Promise.reject(new MembraneError('registry_unreachable', 'away'));

describe('the resolver', () => {
  it('asks again when an answer is too old', async () => {
    const { resolve, clock, asked } = setUp();
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: false });
    clock.advance(4_999);
    await resolve('oven');
    expect(asked).toHaveLength(1);
    clock.advance(1);
    await resolve('oven');
    expect(asked).toHaveLength(2);
    await resolve('oven', false);
    expect(asked).toHaveLength(3);
  });

  it('remembers for a shorter time that there is nobody', async () => {
    const { resolve, clock, asked, answerBy } = setUp();
    answerBy(() => Promise.resolve(undefined));
    expect(await resolve('oven')).toBeUndefined();
    clock.advance(999);
    expect(await resolve('oven')).toBeUndefined();
    expect(asked).toHaveLength(1);
    clock.advance(1);
    answerBy((id) => Promise.resolve({ id } as Found));
    expect(await resolve('oven')).toMatchObject({ id: 'oven' });
  });

  it('asks once for all who ask at the same time, and ends the wait of one alone', async () => {
    const { resolver, resolve, asked, answerBy } = setUp();
    let give: (found: Found) => void = () => undefined;
    answerBy(() => new Promise((resolveAnswer) => (give = resolveAnswer)));
    const controller = new AbortController();
    const impatient = resolver.resolve('oven', { useCache: true, signal: controller.signal });
    const others = [resolve('oven'), resolve('oven')];
    controller.abort(new Error('enough'));
    await expect(impatient).rejects.toThrow('enough');
    give({ id: 'oven' } as Found);
    expect(await Promise.all(others)).toMatchObject([{ id: 'oven' }, { id: 'oven' }]);
    expect(asked).toEqual(['oven']);
  });

  it('keeps as many answers as it may, those that were used last', async () => {
    const { resolve, asked } = setUp();
    for (const id of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) await resolve(id);
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'b']);
  });

  it('gives an older answer while no registry can be reached, says so, and not for ever', async () => {
    const { resolve, clock, answerBy } = setUp();
    await resolve('oven');
    answerBy(away);
    clock.advance(59_999);
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: true });
    await expect(resolve('oven', false)).rejects.toMatchObject({ code: 'registry_unreachable' });
    await expect(resolve('pot')).rejects.toMatchObject({ code: 'registry_unreachable' });
    clock.advance(2);
    await expect(resolve('oven')).rejects.toMatchObject({ code: 'registry_unreachable' });
    answerBy(() => Promise.reject(new MembraneError('invalid_request', 'no')));
    await expect(resolve('oven')).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('does not remember what was on its way when it was told to forget', async () => {
    const { resolver, resolve, asked, answerBy } = setUp();
    let give: (found: Found | undefined) => void = () => undefined;
    answerBy(() => new Promise((resolveAnswer) => (give = resolveAnswer)));
    const before = resolve('oven');
    resolver.forget('oven');
    give(undefined);
    expect(await before).toBeUndefined();
    answerBy((id) => Promise.resolve({ id } as Found));
    expect(await resolve('oven')).toMatchObject({ id: 'oven' });
    expect(asked).toHaveLength(2);
  });
});
