import { parseRevisionText, validate, watchQuerySchema } from '../src/index.js';

describe('the query of a watch', () => {
  it('names a namespace, a subtree, or ids', () => {
    expect(validate(watchQuerySchema, { ids: 'a,b', since: 'log:7' }, 'query')).toEqual({
      ids: ['a', 'b'],
      since: 'log:7',
    });
    expect(validate(watchQuerySchema, { namespace: 'n', subtree: 'a', x: 'y' }, 'query')).toEqual({
      namespace: 'n',
      subtree: 'a',
    });
  });

  it.each([
    [{ subtree: 'a', ids: 'b' }, 'ids must not be given together with subtree'],
    [{ ids: '' }, 'ids[0] must be'],
    [{ ids: Array.from({ length: 101 }, (_, index) => `m${index}`).join() }, 'ids must be at most 100 ids'],
    [{ since: '-1' }, 'since must be a revision'],
    [{ since: 'a:b:1' }, 'since must be a revision'],
  ])('with %p is refused in words', (query, words) => {
    expect(() => validate(watchQuerySchema, query, 'query')).toThrow(words);
  });
});

describe('a revision', () => {
  it('stands alone or with its log', () => {
    expect(parseRevisionText('7')).toEqual({ logId: undefined, revision: 7 });
    expect(parseRevisionText('2f1-a:7')).toEqual({ logId: '2f1-a', revision: 7 });
  });
});
