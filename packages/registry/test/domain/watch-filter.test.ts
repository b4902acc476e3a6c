import type { EventDraft } from '../../src/domain/change.js';
import {
  changesPlace,
  entersSubtree,
  filterKey,
  matchesFilter,
  type WatchFilter,
} from '../../src/domain/watch-filter.js';
import { WatchIndex } from '../../src/domain/watch-index.js';

const event = (id: string, before?: string[], after?: string[], namespace = 'default'): EventDraft => ({
  event: 'moved',
  namespace,
  id,
  instanceId: 'default',
  parent: null,
  ...(before && { before }),
  ...(after && { after }),
});

const filter = (rest: Partial<WatchFilter> = {}): WatchFilter => ({ namespace: 'default', ...rest });

const FILTERS = {
  all: filter(),
  house: filter({ subtree: 'house' }),
  shop: filter({ subtree: 'shop' }),
  ids: filter({ ids: new Set(['oven', 'house']) }),
  other: filter({ namespace: 'other' }),
};

describe('a filter', () => {
  it.each([
    ['a new root', event('house', undefined, []), ['all', 'house', 'ids']],
    ['a new child', event('oven', undefined, ['house']), ['all', 'house', 'ids']],
    ['something far below', event('door', ['oven', 'house'], ['oven', 'house']), ['all', 'house']],
    ['a move from one to the other', event('door', ['house'], ['shop']), ['all', 'house', 'shop']],
    ['an end', event('door', ['shop']), ['all', 'shop']],
    ['another namespace', event('oven', ['house'], ['house'], 'other'), ['other']],
  ])('lets %s pass where it belongs, and the index finds the same', (_, given, names) => {
    const passing = Object.entries(FILTERS).filter(([, each]) => matchesFilter(each, given));
    expect(passing.map(([name]) => name)).toEqual(names);
    const index = new WatchIndex<{ name: string; filter: WatchFilter }>();
    const items = Object.entries(FILTERS).map(([name, each]) => ({ name, filter: each }));
    for (const item of items) index.add(item);
    expect([...index.match(given)].map(({ name }) => name).sort()).toEqual([...names].sort());
    for (const item of items) index.remove(item);
    expect([index.size, index.match(given).size]).toEqual([0, 0]);
  });

  it('knows what comes into its subtree: the root of it never does', () => {
    const { house } = FILTERS;
    expect(entersSubtree(house, event('oven', undefined, ['house']))).toBe(true);
    expect(entersSubtree(house, event('oven', ['shop'], ['house']))).toBe(true);
    expect(entersSubtree(house, event('oven', ['kitchen', 'house'], ['house']))).toBe(false);
    expect(entersSubtree(house, event('oven', ['house'], ['shop']))).toBe(false);
    expect(entersSubtree(house, event('house', undefined, []))).toBe(false);
    expect(entersSubtree(FILTERS.all, event('oven', undefined, ['house']))).toBe(false);
  });

  it('knows a change of place from one of status', () => {
    expect(changesPlace(event('a', ['b'], ['b']))).toBe(false);
    expect(changesPlace(event('a', ['b'], ['c']))).toBe(true);
    expect(changesPlace(event('a', ['b']))).toBe(false);
    expect(changesPlace(event('a', undefined, []))).toBe(true);
  });

  it('is the same whatever the order of its ids', () => {
    const keys = [
      filter({ ids: new Set(['a', 'b']) }),
      filter({ ids: new Set(['b', 'a']) }),
      filter({ subtree: 'a' }),
      filter(),
    ].map(filterKey);
    expect(new Set(keys).size).toBe(3);
  });
});
