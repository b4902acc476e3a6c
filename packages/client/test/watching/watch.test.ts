import { Readable } from 'node:stream';
import { MembraneError } from '@membrane/protocol';
import { watchChanges, type WatchedEvent, type WatchPosition } from '../../src/watching/watch.js';
import { FakeClock } from '../support/fake-clock.js';

/** The text of one event as a registry writes it. */
function event(name: string, data: object, id?: string): string {
  return `event: ${name}\ndata: ${JSON.stringify({ event: name, ...data })}\n${id === undefined ? '' : `id: ${id}\n`}\n`;
}

const change = (revision: number, id: string, isLast = true): string =>
  event('updated', { revision, id, instance_id: 'default' }, isLast ? `log:${revision}` : undefined);

type Answer = readonly (string | Buffer | Error)[] | MembraneError | 'silence';

/** A registry of which each opening gives the next answer; after the last one the watch is ended. */
function begin(answers: readonly Answer[]) {
  const clock = new FakeClock();
  const ended = new AbortController();
  const asked: Record<string, string>[] = [];
  const failures: string[] = [];
  /** Openings and failures, as they came. */
  const told: string[] = [];
  const open = (query: Readonly<Record<string, string>>): Promise<Readable> => {
    asked.push({ ...query });
    const answer = answers[asked.length - 1];
    if (answer === undefined) {
      ended.abort();
      return Promise.reject(new MembraneError('registry_unreachable', 'over'));
    }
    if (answer instanceof MembraneError) return Promise.reject(answer);
    if (answer === 'silence') return Promise.resolve(new Readable({ read: () => undefined }));
    return Promise.resolve(
      Readable.from(
        (function* () {
          for (const part of answer) {
            if (part instanceof Error) throw part;
            yield Buffer.from(part);
          }
        })(),
      ),
    );
  };
  const watch = (filter = {}): AsyncIterable<WatchedEvent | WatchPosition> =>
    watchChanges(
      {
        open,
        clock,
        random: () => 0,
        onOpen: () => told.push('open'),
        onFailure: ({ code }) => {
          failures.push(code);
          told.push('failure');
        },
      },
      { ...filter, signal: ended.signal },
    );
  const collect = async (filter = {}): Promise<string[]> => {
    const got: string[] = [];
    const passing = setInterval(() => {
      clock.advance(1_000);
    }, 1);
    try {
      for await (const one of watch(filter)) {
        if (one.event === 'position') got.push(`up to ${one.since}`);
        else got.push(one.event === 'reset' ? `reset: ${one.reason}` : `${one.revision} ${one.id}`);
      }
    } finally {
      clearInterval(passing);
    }
    return got;
  };
  return { asked, failures, told, collect, ended };
}

describe('a watch', () => {
  it('tells once of what comes along into a subtree, and again where it had left meanwhile', async () => {
    const moved = (id: string, revision: number, more: object, isLast = false): string =>
      event(
        'moved',
        { id, revision, instance_id: 'default', ...more },
        isLast ? `log:${revision}` : undefined,
      );
    const enter = { before: { ancestors: [] }, after: { ancestors: ['S'] } };
    const leave = { before: { ancestors: ['S'] }, after: { ancestors: [] } };
    const record = { id: 'c', revision: 3 };
    const updated = event('updated', {
      id: 'c',
      revision: 3,
      instance_id: 'default',
      record,
      before: { ancestors: ['x', 'S'] },
      after: { ancestors: ['x', 'S'] },
    });
    const arrival = moved('c', 9, { record, after: { ancestors: ['x', 'S'] } }, true);
    const { collect } = begin([
      [moved('x', 2, enter), updated, arrival, moved('x', 2, enter), updated, moved('x', 4, leave)].concat([
        moved('x', 5, enter),
        arrival,
      ]),
    ]);
    expect(await collect({ subtree: 'S' })).toEqual([
      ...['2 x', '3 c', 'up to log:9'],
      ...['2 x', '3 c', '4 x', '5 x', '9 c', 'up to log:9'],
    ]);
  });

  it('tells of whole revisions, and where it stands', async () => {
    const { collect, asked } = begin([
      [event('bookmark', { revision: 4 }, 'log:4'), change(5, 'oven', false), change(5, 'lamp')],
    ]);
    expect(await collect({ subtree: 'kitchen' })).toEqual(['up to log:4', '5 oven', '5 lamp', 'up to log:5']);
    expect(asked[0]).toEqual({ subtree: 'kitchen' });
  });

  it('goes on after the last whole revision: nothing is missed, nothing comes twice', async () => {
    const { collect, asked, failures } = begin([
      [change(5, 'oven'), change(6, 'half', false), new Error('the connection broke')],
      new MembraneError('registry_unreachable', 'away'),
      [change(6, 'half', false), change(6, 'whole')],
    ]);
    expect(await collect()).toEqual(['5 oven', 'up to log:5', '6 half', '6 whole', 'up to log:6']);
    expect(asked.map(({ since }) => since)).toEqual([undefined, 'log:5', 'log:5', 'log:6']);
    expect(failures).toEqual(Array(3).fill('registry_unreachable'));
  });

  it('says when it is open, and when it is not', async () => {
    const { collect, told } = begin([
      [change(5, 'oven'), new Error('the connection broke')],
      new MembraneError('registry_unreachable', 'away'),
      [change(6, 'oven')],
    ]);
    await collect();
    expect(told).toEqual(['open', 'failure', 'failure', 'open', 'failure']);
  });

  it('reads events however their text is cut', async () => {
    const text = change(5, 'öfen', false) + change(5, 'lamp');
    const bytes = Buffer.from(text);
    // In the midst of a character, too.
    const { collect } = begin([Array.from(bytes, (byte) => Buffer.from([byte]))]);
    expect(await collect()).toEqual(['5 öfen', '5 lamp', 'up to log:5']);
  });

  it('tells of a reset, drops what it had heard by half, and goes on from there', async () => {
    const { collect, asked } = begin([
      [
        change(6, 'half', false),
        event('reset', { revision: 90, reason: 'too_old' }, 'log:90'),
        change(91, 'oven'),
      ],
    ]);
    expect(await collect()).toEqual(['reset: too_old', 'up to log:90', '91 oven', 'up to log:91']);
    expect(asked[1]).toEqual({ since: 'log:91' });
  });

  it('ends a stream that is silent, and opens another', async () => {
    const { collect, failures } = begin(['silence', [change(5, 'oven')]]);
    expect(await collect()).toEqual(['5 oven', 'up to log:5']);
    expect(failures[0]).toBe('registry_unreachable');
  });

  it.each(['invalid_request', 'forbidden', 'client_closed'] as const)('ends by %s', async (code) => {
    const { collect } = begin([new MembraneError(code, 'no')]);
    await expect(collect()).rejects.toMatchObject({ code });
  });

  it('waits as long as a registry asks for', async () => {
    const { collect, asked } = begin([
      new MembraneError('not_ready', 'loading', { details: { retryAfterMs: 2_000 } }),
      [change(5, 'oven')],
    ]);
    expect(await collect()).toEqual(['5 oven', 'up to log:5']);
    expect(asked).toHaveLength(3);
  });

  it('ends by its signal while it waits', async () => {
    const { collect, ended } = begin(['silence']);
    const got = collect();
    setImmediate(() => {
      ended.abort();
    });
    expect(await got).toEqual([]);
  });
});
