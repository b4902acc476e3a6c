import type { Membrane } from '../../src/registry-api.js';
import { ReplicaTable } from '../../src/watching/replica-table.js';
import type { MembraneChange } from '../../src/watching/watch.js';

function record(id: string, given: Partial<Membrane> = {}): Membrane {
  const { revision = 1 } = given;
  return {
    id,
    namespace: 'default',
    instanceId: 'default',
    parent: null,
    communicationMode: 'network',
    status: 'active',
    detached: false,
    metadata: {},
    incarnation: revision,
    revision,
    ...given,
  } as Membrane;
}

function change(event: string, id: string, given: Partial<MembraneChange> = {}): MembraneChange {
  return { event, id, instanceId: 'default', revision: 10, timestamp: 5, ...given } as MembraneChange;
}

function put(id: string, given: Partial<Membrane> & { ancestors?: string[] } = {}): MembraneChange {
  const { ancestors = given.parent == null ? [] : [given.parent], ...fields } = given;
  const full = record(id, { revision: 10, ...fields });
  const { instanceId, revision } = full;
  return change('registered', id, { instanceId, revision, record: full, after: { ancestors } });
}

function begin(records: Membrane[] = [], subtree?: string) {
  const table = new ReplicaTable(subtree);
  for (const one of records) table.load(one);
  table.endLoad();
  const ids = (): string[] => table.list({}).map(({ id }) => id);
  return { table, ids };
}

describe('a replica of the namespace', () => {
  it('finds an id with its instances, the one that is well first', () => {
    const { table } = begin([
      record('oven', { instanceId: 'a', incarnation: 1, status: 'unhealthy' }),
      record('oven', { instanceId: 'b', incarnation: 2 }),
    ]);
    const found = table.get('oven');
    expect([found?.instanceId, found?.instances.map(({ instanceId }) => instanceId)]).toEqual([
      'b',
      ['b', 'a'],
    ]);
    expect(table.get('oven')).toBe(found);
    expect(table.get('lamp')).toBeUndefined();
  });

  it('passes over what is told of self-preservation', () => {
    const { table, ids } = begin([record('oven'), record('lamp', { parent: 'oven' })]);
    const found = table.get('oven');
    const preservation = { n: 2, s: 2 };
    for (const event of ['preservation_started', 'preservation_ended']) {
      expect(table.apply(change(event, 'oven', { after: { ancestors: [] }, preservation }))).toBe(true);
      expect(table.apply(change(event, '', { preservation }))).toBe(true);
    }
    expect([ids(), table.get('oven') === found]).toEqual([['oven', 'lamp'], true]);
  });

  it('follows registrations, changes and ends', () => {
    const { table, ids } = begin([record('oven')]);
    table.apply(put('lamp', { parent: 'oven' }));
    table.apply(put('oven', { metadata: { hot: true }, revision: 11 }));
    expect(table.get('oven')).toMatchObject({ metadata: { hot: true }, lastHeartbeat: 5 });
    table.apply(change('expired', 'oven', { revision: 12 }));
    expect(ids()).toEqual(['lamp']);
    expect(table.get('lamp')?.detached).toBe(true);
    table.apply(put('oven', { revision: 13 }));
    expect(table.get('lamp')?.detached).toBe(false);
  });

  it('passes over what a snapshot has told already', () => {
    const { table, ids } = begin([record('oven', { revision: 20, metadata: { now: true } })]);
    table.apply(put('oven', { revision: 15 }));
    table.apply(change('expired', 'oven', { revision: 16 }));
    expect(ids()).toEqual(['oven']);
    expect(table.get('oven')?.metadata).toEqual({ now: true });
  });

  it('lists by parent, mode, status and metadata', () => {
    const { table } = begin([
      record('a'),
      record('b', { parent: 'a', metadata: { zone: '1', n: 2 } }),
      record('c', { parent: 'a', status: 'unhealthy' }),
      record('d', { parent: 'b', communicationMode: 'ipc' }),
    ]);
    const list = (filter: Parameters<typeof table.list>[0]): string[] =>
      table.list(filter).map(({ id }) => id);
    expect(list({ parent: 'a' })).toEqual(['b', 'c']);
    expect(list({ parent: null })).toEqual(['a']);
    expect(list({ parent: 'a', status: 'active' })).toEqual(['b']);
    expect(list({ communicationMode: 'ipc' })).toEqual(['d']);
    expect(list({ metadata: { zone: '1', n: '2' } })).toEqual(['b']);
    expect(list({ metadata: { zone: '2' } })).toEqual([]);
  });

  it('moves all instances of an id with one of them', () => {
    const { table } = begin([
      record('a'),
      record('b'),
      record('oven', { instanceId: '1', parent: 'a' }),
      record('oven', { instanceId: '2', parent: 'a' }),
    ]);
    table.apply(put('oven', { instanceId: '1', parent: 'b' }));
    expect(table.get('oven')?.instances.map(({ parent }) => parent)).toEqual(['b', 'b']);
    expect(table.list({ parent: 'a' })).toEqual([]);
    expect(table.list({ parent: 'b' })).toHaveLength(2);
  });
});

describe('a dissolution', () => {
  it('gives the children to the parent, or to siblings that are named', () => {
    const { table, ids } = begin([
      record('a'),
      record('b', { parent: 'a' }),
      record('c', { parent: 'a' }),
      record('x', { parent: 'b' }),
      record('y_1', { parent: 'b' }),
    ]);
    const after = { ancestors: ['a'], heir: 'a', heirs: { y_1: 'c' } };
    table.apply(change('dissolved', 'b', { before: { ancestors: ['a'] }, after }));
    expect(ids()).toEqual(['a', 'c', 'x', 'y_1']);
    expect([table.get('x')?.parent, table.get('y_1')?.parent]).toEqual(['a', 'c']);
    expect(table.list({ parent: 'a' }).map(({ id }) => id)).toEqual(['c', 'x']);
  });

  it('of the root of a subtree empties its replica', () => {
    const { table, ids } = begin([record('root'), record('x', { parent: 'root' })], 'root');
    table.apply(change('dissolved', 'root', { after: { ancestors: [], heir: null } }));
    expect(ids()).toEqual([]);
  });
});

describe('a replica of a subtree', () => {
  it('says so where it cannot tell who has left with one that did', () => {
    const records = [record('root'), record('x', { parent: 'root' }), record('z', { parent: 'vacant' })];
    const { table } = begin(records, 'root');
    expect(table.apply(put('x', { parent: 'other', ancestors: ['other'] }))).toBe(false);
  });

  it('lets go of what leaves it, with everything below', () => {
    const { table, ids } = begin(
      [
        record('root', { parent: 'above', detached: true }),
        record('oven', { parent: 'root' }),
        record('lamp', { parent: 'oven' }),
        record('fan', { parent: 'root' }),
      ],
      'root',
    );
    expect(table.get('root')?.detached).toBe(true);
    table.apply(put('oven', { parent: 'garden', ancestors: ['garden'] }));
    expect(ids()).toEqual(['root', 'fan']);
    table.apply(put('oven', { parent: 'fan', ancestors: ['fan', 'root'], revision: 12 }));
    table.apply(put('lamp', { parent: 'oven', ancestors: ['oven', 'fan', 'root'], revision: 12 }));
    expect(ids()).toEqual(['root', 'fan', 'oven', 'lamp']);
  });
});
