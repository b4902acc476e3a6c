import { MembraneError, type CamelCased, type DiscoveredMembrane } from '@membrane/protocol';
import { Resolver } from '../src/resolver.js';
import { FakeClock } from './support/fake-clock.js';

type Found = CamelCased<DiscoveredMembrane>;
const CACHE = { ttlMs: 5_000, negativeTtlMs: 1_000, maxStaleMs: 60_000, watch: false, maxEntries: 3 };

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

  it('recalls without a promise what it remembers, as long as that is fresh', async () => {
    const { resolve, resolver, clock, answerBy, asked } = setUp();
    expect(resolver.recall('oven')).toBe('unknown');
    await resolve('oven');
    answerBy(() => Promise.resolve(undefined));
    await resolve('lamp');
    expect(resolver.recall('lamp')).toBe('absent');
    clock.advance(1_000);
    expect(resolver.recall('lamp')).toBe('unknown');
    clock.advance(4_000);
    expect(resolver.recall('oven')).toBe('unknown');
    expect(asked).toEqual(['oven', 'lamp']);
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

  it('does not wait again for a registry that was away, until that answers', async () => {
    const { resolve, clock, asked, answerBy } = setUp();
    for (const id of ['oven', 'pot']) await resolve(id);
    clock.advance(5_000);
    answerBy(away);
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: true });
    let give: (found: Found) => void = () => undefined;
    answerBy(() => new Promise((resolveAnswer) => (give = resolveAnswer)));
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: true });
    expect(await resolve('pot')).toEqual({ id: 'pot', isStale: true });
    // One question at a time finds out whether it is back.
    expect(asked.slice(2)).toEqual(['oven', 'oven']);
    give({ id: 'oven' } as Found);
    await settle();
    answerBy((id) => Promise.resolve({ id } as Found));
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: false });
    expect(await resolve('pot')).toEqual({ id: 'pot', isStale: false });
    expect(asked.slice(4)).toEqual(['pot']);
  });

  it('waits for a registry that was away where it knows nothing, or has not tried for long', async () => {
    const { resolve, clock, answerBy } = setUp();
    await resolve('oven');
    clock.advance(5_000);
    answerBy(away);
    await resolve('oven');
    await resolve('oven');
    await settle();
    await expect(resolve('pot')).rejects.toMatchObject({ code: 'registry_unreachable' });
    answerBy((id) => Promise.resolve({ id } as Found));
    clock.advance(30_000);
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: false });
  });

  it('lets those who find out that a registry hangs wait, and gives the others an older answer', async () => {
    const { resolve, clock, asked, answerBy } = setUp();
    for (const id of ['oven', 'pot']) await resolve(id);
    clock.advance(5_000);
    const fail: ((error: Error) => void)[] = [];
    answerBy(() => new Promise((_, reject) => fail.push(reject)));
    const patient = resolve('oven');
    clock.advance(1_000);
    expect(await resolve('oven')).toEqual({ id: 'oven', isStale: true });
    expect(await resolve('pot')).toEqual({ id: 'pot', isStale: true });
    for (const reject of fail) reject(new MembraneError('registry_unreachable', 'away'));
    expect(await patient).toEqual({ id: 'oven', isStale: true });
    expect(asked.slice(2)).toEqual(['oven', 'pot']);
  });

  it('waits no longer than a caller has time, while the question goes on for the others', async () => {
    const { resolver, resolve, clock, asked, answerBy } = setUp();
    let give: (found: Found) => void = () => undefined;
    answerBy(() => new Promise((resolveAnswer) => (give = resolveAnswer)));
    const hurried = { useCache: true, signal: undefined, timeoutMs: 100 };
    const hasty = resolver.resolve('oven', hurried);
    const patient = resolve('oven');
    clock.advance(100);
    await expect(hasty).rejects.toMatchObject({
      code: 'registry_unreachable',
      message: 'no answer within 100 ms',
    });
    give({ id: 'oven' } as Found);
    expect(await patient).toEqual({ id: 'oven', isStale: false });
    expect(asked).toEqual(['oven']);
    clock.advance(5_000);
    const late = resolver.resolve('oven', hurried);
    clock.advance(100);
    expect(await late).toEqual({ id: 'oven', isStale: true });
    expect(clock.pending).toBe(0);
  });

  it('keeps its answers from whoever would change them', async () => {
    const { resolve, answerBy } = setUp();
    const told = { id: 'oven', metadata: { shelves: [1] }, instances: [{ instanceId: 'default' }] };
    answerBy(() => Promise.resolve(JSON.parse(JSON.stringify(told)) as Found));
    const [found, alike] = await Promise.all([resolve('oven'), resolve('oven')]);
    expect(() => (found?.metadata['shelves'] as number[]).push(2)).toThrow(TypeError);
    expect(() => found?.instances.pop()).toThrow(TypeError);
    expect(() => Object.assign(found ?? {}, { id: 'changed' })).toThrow(TypeError);
    expect(found).toEqual({ ...told, isStale: false });
    // One for all: a copy for each would cost more than finding it.
    expect(alike).toBe(found);
    expect(await resolve('oven')).toBe(found);
  });
});

/** Until note was taken of what has been answered. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
