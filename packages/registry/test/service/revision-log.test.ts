import { RevisionLog } from '../../src/service/revision-log.js';
import { beginRun, MAX_RUNS } from '../../src/store/membrane-store.js';

describe('a log', () => {
  const log = new RevisionLog('log', [
    { id: '', since: 0 },
    { id: 'a', since: 10 },
    { id: 'b', since: 12 },
    { id: 'c', since: 12 },
  ]);

  it('is called by its run', () => {
    expect(log.id).toBe('log-c');
  });

  it.each([
    ['that names no log', undefined, 99, true],
    ['of this run', 'log-c', 12, true],
    ['of this run, still to come', 'log-c', 99, true],
    ['of an earlier run', 'log-a', 12, true],
    ['of a run in which nothing was written', 'log-b', 12, true],
    ['of the time before there were runs', 'log', 10, true],
    ['that an earlier run had in another history', 'log-a', 13, false],
    ['that was there before there were runs, in another history', 'log', 11, false],
    ['of a run that is not known', 'log-x', 1, false],
    ['of another log', 'other-c', 1, false],
  ])('owns, or does not own, a revision %s', (_, logId, revision, owned) => {
    expect(log.owns({ logId, revision })).toBe(owned);
  });
});

describe('runs', () => {
  it('begin with what was written before there were any', () => {
    expect(beginRun(undefined, 0).map(({ since }) => since)).toEqual([0]);
    expect(beginRun(undefined, 7)).toEqual([{ id: '', since: 0 }, expect.objectContaining({ since: 7 })]);
  });

  it('are remembered up to a number', () => {
    let runs = beginRun(undefined, 0);
    for (let revision = 1; revision < MAX_RUNS + 10; revision += 1) runs = beginRun(runs, revision);
    expect(runs.length).toBe(MAX_RUNS);
    expect(runs.at(-1)?.since).toBe(MAX_RUNS + 9);
  });
});
