import { MembraneError } from '@membrane/protocol';
import type { Membrane } from '../../src/registry-api.js';
import { MembraneReplica } from '../../src/watching/membrane-replica.js';
import type { WatchedEvent, WatchPosition } from '../../src/watching/watch.js';
import { eventually } from '../support/eventually.js';
import { FakeClock } from '../support/fake-clock.js';

type Told = WatchedEvent | WatchPosition;

const record = (id: string, revision = 1): Membrane =>
  ({
    id,
    instanceId: 'default',
    parent: null,
    status: 'active',
    metadata: {},
    incarnation: revision,
    revision,
  }) as never;

/** Registries to read, one after the other, and what the watch tells, when a test says so. */
function begin(snapshots: readonly (readonly Membrane[] | Error)[], subtree?: string) {
  const clock = new FakeClock();
  const failures: unknown[] = [];
  const since: string[] = [];
  const told: Told[] = [];
  let wake = (): void => undefined;
  let reads = 0;
  const replica = new MembraneReplica({
    subtree,
    clock,
    random: () => 1,
    onFailure: (error) => failures.push(error),
    snapshot: () => {
      const snapshot = snapshots[Math.min(reads, snapshots.length - 1)];
      reads += 1;
      return Promise.resolve({
        revision: `log:${reads}`,
        // eslint-disable-next-line @typescript-eslint/require-await
        pages: (async function* () {
          if (snapshot instanceof Error) {
            yield [record('half')];
            throw snapshot;
          }
          yield snapshot ?? [];
        })(),
      });
    },
    watch: async function* (from, signal) {
      since.push(from);
      signal.addEventListener('abort', () => {
        wake();
      });
      while (!signal.aborted) {
        for (let next = told.shift(); next !== undefined; next = told.shift()) yield next;
        if (told.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  });
  const tell = async (...events: Told[]): Promise<void> => {
    told.push(...events);
    wake();
    await new Promise(setImmediate);
  };
  replica.start();
  return { replica, clock, failures, since, tell, reads: () => reads };
}

const position = (since: string): Told => ({ event: 'position', since });
const reset = { event: 'reset', revision: 9, reason: 'too_old' } as const;

describe('a replica', () => {
  it('knows what there is, and what is not, as soon as it has been read', async () => {
    const { replica, since } = begin([[record('oven')]]);
    expect(replica.get('oven')).toBe('unknown');
    await replica.ready();
    expect(replica.get('oven')).toMatchObject({ id: 'oven', isStale: false });
    expect(replica.get('lamp')).toBe('absent');
    expect(replica.list({})).toHaveLength(1);
    expect(replica.status).toMatchObject({ isComplete: true, size: 1, ageMs: 0, revision: 'log:1' });
    await replica.stop();
    expect(since).toEqual(['log:1']);
  });

  it('of a subtree does not know what is outside', async () => {
    const { replica } = begin([[record('oven')]], 'oven');
    await replica.ready();
    expect(replica.get('lamp')).toBe('unknown');
    // Nor whose child its top is, but for want of better it serves.
    expect([replica.get('oven'), replica.last('oven')]).toMatchObject(['unknown', { isStale: true }]);
    expect(replica.list({})).toBeUndefined();
    await replica.stop();
  });

  it('serves while no registry answers, says how old it is, and does not deny who may have come', async () => {
    const { replica, clock, tell } = begin([[record('oven')]]);
    await replica.ready();
    replica.noteConnection(false);
    clock.advance(7_000);
    expect(replica.get('oven')).toMatchObject({ id: 'oven', isStale: true });
    expect(replica.get('lamp')).toBe('unknown');
    expect(replica.status.ageMs).toBe(7_000);
    await tell(position('log:4'));
    expect(replica.get('lamp')).toBe('absent');
    expect(replica.status).toMatchObject({ ageMs: 0, revision: 'log:4' });
    await replica.stop();
  });

  it('is read anew after a reset, and not replaced by a part of it', async () => {
    const { replica, clock, tell, failures, reads } = begin([
      [record('oven')],
      new MembraneError('registry_unreachable', 'away'),
      [record('lamp')],
    ]);
    await replica.ready();
    await tell(reset);
    await eventually('the second reading has failed', () => {
      clock.advance(500);
      return failures.length === 1;
    });
    expect(replica.get('oven')).toMatchObject({ isStale: true });
    expect(replica.get('half')).toBe('unknown');
    await eventually('it is read again', () => {
      clock.advance(1_000);
      return reads() === 3 && replica.status.ageMs === 0;
    });
    expect([replica.get('oven'), replica.get('lamp')]).toMatchObject(['absent', { id: 'lamp' }]);
    await replica.stop();
  });

  it('that is reset again and again is read at growing intervals, and says so', async () => {
    const { replica, clock, tell, failures, reads } = begin([[record('oven')]]);
    await replica.ready();
    const pauses: number[] = [];
    for (const expected of [2, 3, 4]) {
      await tell(reset);
      let pausedMs = 0;
      await eventually('it is read again', () => {
        if (reads() === expected) return true;
        clock.advance(500);
        pausedMs += 500;
        return false;
      });
      pauses.push(pausedMs);
    }
    // The clock is advanced a little further than need be.
    expect(pauses[2]).toBeGreaterThan(2 * (pauses[0] ?? 0));
    expect(failures).toHaveLength(2);
    expect(failures[0]).toMatchObject({
      code: 'registry_unreachable',
      message: expect.stringMatching(/too_old/) as string,
    });
    await replica.stop();
  });

  it('is behind what its client has changed until it has that, or for a moment', async () => {
    const { replica, clock, tell } = begin([[record('oven')]]);
    await replica.ready();
    expect(replica.isBehind).toBe(false);
    replica.noteOwnChange(7);
    await tell(position('log:6'));
    expect(replica.isBehind).toBe(true);
    await tell(position('log:7'));
    expect(replica.isBehind).toBe(false);
    // Of what is elsewhere it is told nothing.
    replica.noteOwnChange(9);
    clock.advance(2_001);
    expect(replica.isBehind).toBe(false);
    await replica.stop();
  });

  it('leaves it to the registry where that answers, but does not tell what changes', async () => {
    const { replica, tell } = begin([[record('oven')]]);
    await replica.ready();
    replica.noteRefusal();
    expect([replica.get('oven'), replica.last('oven')]).toMatchObject(['unknown', { isStale: true }]);
    await tell(position('log:2'));
    expect(replica.get('oven')).toMatchObject({ isStale: false });
    await replica.stop();
  });

  it('is stale where the registry has fallen silent, whatever its connection says', async () => {
    const { replica, clock, tell } = begin([[record('oven')]]);
    await replica.ready();
    clock.advance(16_000);
    await tell(position('log:2'));
    clock.advance(19_000);
    expect(replica.get('lamp')).toBe('absent');
    clock.advance(2_000);
    expect([replica.get('oven'), replica.get('lamp')]).toMatchObject([{ isStale: true }, 'unknown']);
    expect(replica.status.ageMs).toBe(21_000);
    await replica.stop();
  });
});
