import type { CamelCased, DiscoveredMembrane } from '@membrane/protocol';
import { MembraneFinder } from '../src/membrane-finder.js';
import { Resolver } from '../src/resolver.js';
import { FakeClock } from './support/fake-clock.js';

type Found = CamelCased<DiscoveredMembrane>;
const CACHE = { ttlMs: 5_000, negativeTtlMs: 1_000, maxStaleMs: 60_000, watch: false, maxEntries: 3 };

/** A finder that remembers, and has no replica. */
function setUp() {
  const asked: string[] = [];
  const ask = (id: string) => {
    asked.push(id);
    return Promise.resolve(id === 'nobody' ? undefined : ({ id } as Found));
  };
  const finder = new MembraneFinder({
    api: {} as never,
    resolver: new Resolver({ ask, cache: CACHE, clock: new FakeClock() }),
    replica: () => undefined,
    balancer: {} as never,
  });
  return { finder, asked };
}

describe('the finder', () => {
  it('gives what is remembered at once, and asks by a promise', async () => {
    const { finder, asked } = setUp();
    const first = finder.discover('oven');
    expect(first).toBeInstanceOf(Promise);
    const found = await first;
    expect(finder.discover('oven')).toBe(found);
    expect(await finder.discover('nobody')).toBeUndefined();
    expect(finder.discover('nobody')).toBeUndefined();
    expect(asked).toEqual(['oven', 'nobody']);
  });

  it('asks whatever is remembered where that is wanted, and gives nothing to who has given up', async () => {
    const { finder, asked } = setUp();
    await finder.discover('oven');
    await finder.discover('oven', { useCache: false });
    expect(asked).toEqual(['oven', 'oven']);
    expect(() => finder.discover('oven', { signal: AbortSignal.abort(new Error('enough')) })).toThrow(
      'enough',
    );
  });
});
