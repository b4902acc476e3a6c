import fc from 'fast-check';
import type { WatchEvent } from '@membrane/protocol';
import { ancestorsOf } from '../../src/domain/tree-walk.js';
import type { WatchFilter } from '../../src/domain/watch-filter.js';
import type { WatchHub } from '../../src/service/watch-hub.js';
import type { Watcher } from '../../src/service/watcher.js';
import { eventually } from '../support/eventually.js';
import { registration, RegistryCore } from '../support/registry-core.js';
import { FakeSink, hubOf, type Heard } from '../support/watching.js';

/**
 * Watchers that lose their connection, pause and come back whenever they like, over restarts of the registry and a log
 * that is short: each must end with exactly the registry's state, as far as its filter lets it see.
 */

const IDS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const FILTERS: readonly WatchFilter[] = [
  { namespace: 'default' },
  { namespace: 'default', subtree: 'a' },
  { namespace: 'default', subtree: 'b' },
  { namespace: 'default', subtree: 'a' },
  { namespace: 'default', ids: new Set(['c', 'f']) },
];

interface Known {
  readonly id: string;
  readonly revision: number;
  readonly status: string;
  parent: string | null;
  ancestors: string[];
}

/** What is in the filter now. */
function truth({ state }: RegistryCore, { namespace, subtree, ids }: WatchFilter): Map<string, Known> {
  const known = new Map<string, Known>();
  for (const id of IDS) {
    const node = state.directory.node(namespace, id);
    if (node === undefined || ids?.has(id) === false) continue;
    const ancestors = ancestorsOf(state.view, node);
    if (subtree !== undefined && id !== subtree && !ancestors.includes(subtree)) continue;
    for (const { instanceId, revision, status } of node.instances) {
      known.set(`${id}/${instanceId}`, { id, revision, status, parent: ancestors[0] ?? null, ancestors });
    }
  }
  return known;
}

/**
 * What its filter lets a watcher see of the ancestors: of what is above the root of its subtree it hears nothing, and
 * with ids nothing of the parent, which may be dissolved.
 */
function visible(known: Map<string, Known>, { subtree, ids }: WatchFilter): Map<string, Known> {
  const cut = ({ id, ancestors }: Known): string[] => {
    if (ids !== undefined || id === subtree) return [];
    return subtree === undefined ? ancestors : ancestors.slice(0, ancestors.indexOf(subtree) + 1);
  };
  const isTop = (id: string): boolean => ids !== undefined || id === subtree;
  return new Map(
    [...known].map(([key, each]) => [
      key,
      { ...each, ancestors: cut(each), parent: isTop(each.id) ? null : each.parent },
    ]),
  );
}

/** A client that applies batches whole, and what it knows. */
class Client {
  known = new Map<string, Known>();
  /** Where it goes on; undefined before it has begun. */
  position: string | undefined;
  sink = new FakeSink(200);
  resets = 0;
  #watcher: Watcher | undefined;
  #batch: Heard[] = [];
  #read = 0;
  /** Events up to here are in the snapshot. */
  #snapshotRevision = 0;

  readonly filter: WatchFilter;

  constructor(filter: WatchFilter) {
    this.filter = filter;
  }

  connect(core: RegistryCore, hub: WatchHub): void {
    if (this.#watcher !== undefined) return;
    this.sink = new FakeSink(200);
    this.#read = 0;
    this.#batch = [];
    const [logId, revision] = (this.position ?? '').split(':');
    const watcher = hub.open(
      this.filter,
      this.position === undefined ? undefined : { logId, revision: Number(revision) },
      this.sink,
    );
    this.#watcher = watcher;
    this.sink.onDrained = () => {
      watcher.drained();
    };
    // Without a revision to go on from, the state is read when the stream has begun.
    if (this.position === undefined) this.snapshot(core);
  }

  disconnect(hub: WatchHub | undefined): void {
    if (this.#watcher !== undefined) hub?.close(this.#watcher);
    this.#watcher = undefined;
  }

  snapshot(core: RegistryCore): void {
    this.known = truth(core, this.filter);
    this.#snapshotRevision = core.state.revision;
  }

  /** Takes in what has arrived. */
  read(core: RegistryCore): void {
    for (const heard of this.sink.heard.slice(this.#read)) {
      this.#batch.push(heard);
      if (heard.id === undefined) continue;
      for (const { data } of this.#batch) this.#apply(core, data);
      this.#batch = [];
      this.position = heard.id;
    }
    this.#read = this.sink.heard.length;
  }

  #apply(core: RegistryCore, event: WatchEvent): void {
    if (event.event === 'bookmark') return;
    if (event.event === 'reset') {
      this.resets += 1;
      this.snapshot(core);
      return;
    }
    if (event.revision <= this.#snapshotRevision) return;
    const { id, record, after, before } = event;
    const key = `${id}/${event.instance_id}`;
    if (event.event === 'dissolved') {
      this.#inherit(id, after?.ancestors ?? [], after?.heir ?? null, after?.heirs ?? {});
    } else if (after !== undefined && after.ancestors.join() !== before?.ancestors.join()) {
      this.#place(id, after.ancestors);
    }
    if (record === undefined) {
      this.known.delete(key);
    } else if (
      (this.known.get(key)?.revision ?? 0) <= record.revision &&
      this.#isInside(id, after?.ancestors)
    ) {
      const { revision, status, parent } = record;
      this.known.set(key, { id, revision, status, parent, ancestors: after?.ancestors ?? [] });
    }
  }

  /** What is below it has other ancestors now, and may be out of sight. */
  #place(id: string, ancestors: readonly string[]): void {
    for (const [key, known] of this.known) {
      const index = known.ancestors.indexOf(id);
      if (index !== -1) known.ancestors = [...known.ancestors.slice(0, index + 1), ...ancestors];
      else if (known.id === id) known.ancestors = [...ancestors];
      if (!this.#isInside(known.id, known.ancestors)) this.known.delete(key);
    }
  }

  /** Its children are now those of its parent, or of siblings of it. */
  #inherit(
    id: string,
    ancestors: readonly string[],
    heir: string | null,
    heirs: Readonly<Record<string, string>>,
  ): void {
    for (const [key, known] of this.known) {
      const index = known.ancestors.indexOf(id);
      if (index === -1) continue;
      const child = known.ancestors[index - 1] ?? known.id;
      const to = heirs[child] ?? heir;
      const above = to === null || to === ancestors[0] ? ancestors : [to, ...ancestors];
      known.ancestors = [...known.ancestors.slice(0, index), ...above];
      known.parent = known.ancestors[0] ?? null;
      if (!this.#isInside(known.id, known.ancestors)) this.known.delete(key);
    }
  }

  #isInside(id: string, ancestors: readonly string[] = []): boolean {
    const { subtree } = this.filter;
    return subtree === undefined || id === subtree || ancestors.includes(subtree);
  }
}

type Step =
  | { kind: 'register'; id: string; parent: string | null; instance: string }
  | { kind: 'burst'; pairs: { id: string; parent: string | null }[] }
  | { kind: 'deregister'; id: string; cascade: boolean }
  | { kind: 'move'; id: string; parent: string | null }
  | { kind: 'dissolve'; id: string }
  | { kind: 'divide'; id: string; picks: number[] }
  | { kind: 'drain'; id: string; enabled: boolean }
  | { kind: 'sweep' }
  | { kind: 'silence' }
  | { kind: 'connect' | 'disconnect' | 'pause' | 'resume' | 'read'; client: number }
  | { kind: 'breathe'; turns: number }
  | { kind: 'restart' };

const id = fc.constantFrom(...IDS);
const parent = fc.option(id);
const client = fc.nat(FILTERS.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      id,
      parent,
      instance: fc.constantFrom('default', 'default', 'default', 'spare'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      pairs: fc.array(fc.record({ id, parent }), { minLength: 2, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('deregister' as const), id, cascade: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), id, parent }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('dissolve' as const), id }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('divide' as const),
      id,
      picks: fc.array(fc.nat(10), { minLength: IDS.length, maxLength: IDS.length }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('drain' as const), id, enabled: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'sweep' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'silence' as const }) },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'connect' as const,
        'connect' as const,
        'disconnect' as const,
        'pause' as const,
        'resume' as const,
        'read' as const,
      ),
      client,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('breathe' as const), turns: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);

/** Siblings for some of its children. */
function chooseHeirs(
  { state }: RegistryCore,
  { id, picks }: { id: string; picks: number[] },
): Record<string, string> {
  const parentOf = (child: string): string | null => {
    const node = state.directory.node('default', child);
    return node === undefined || node.tombstone !== null ? null : (ancestorsOf(state.view, node)[0] ?? null);
  };
  const isHere = (each: string): boolean =>
    (state.directory.node('default', each)?.instances.length ?? 0) > 0;
  const siblings = IDS.filter((each) => each !== id && isHere(each) && parentOf(each) === parentOf(id));
  const chosen = IDS.flatMap((child, index) => {
    const heir = siblings[(picks[index] ?? 0) % (siblings.length + 1)];
    return parentOf(child) === id && heir !== undefined ? [[child, heir] as const] : [];
  });
  return Object.fromEntries(chosen);
}

const LOG_LIMITS = { maxChanges: 12, maxBytes: 1e6 };
const HUB = { maxBufferBytes: 3_000, pace: { bookmarkMs: 5, patienceMs: 3, flushMs: 0, stepItems: 1 } };

/** Every step of work takes a slice of its own, so that anything can happen in between. */
let nowMs = 0;
const startHub = (core: RegistryCore): WatchHub => hubOf(core, HUB, { nowMs: () => (nowMs += 1_000) });

async function run(steps: readonly Step[]): Promise<void> {
  let core = await new RegistryCore(undefined, undefined, undefined, LOG_LIMITS).load();
  let hub = startHub(core);
  const clients = FILTERS.map((filter) => new Client(filter));
  const register = (id: string, parent: string | null, instance = 'default'): Promise<unknown> =>
    core.service.register(registration(id, { parent, instance_id: instance })).catch(() => undefined);

  const perform = async (step: Step): Promise<void> => {
    switch (step.kind) {
      case 'register':
        await register(step.id, step.parent, step.instance);
        break;
      case 'burst':
        await Promise.all(step.pairs.map(({ id, parent }) => register(id, parent)));
        break;
      case 'deregister':
        await core.service
          .deregister({ id: step.id, children: step.cascade ? 'cascade' : 'keep' })
          .catch(() => undefined);
        break;
      case 'move':
        await core.tree.move(step.id, { parent: step.parent }).catch(() => undefined);
        break;
      case 'dissolve':
        await core.tree.dissolve(step.id, {}).catch(() => undefined);
        break;
      case 'divide':
        await core.tree.divide(step.id, { heirs: chooseHeirs(core, step) }).catch(() => undefined);
        break;
      case 'drain':
        await core.tree.drain(step.id, { enabled: step.enabled }).catch(() => undefined);
        break;
      case 'sweep':
        await core.tick();
        break;
      case 'silence':
        await core.pass(2_200);
        break;
      case 'connect':
        clients[step.client]?.connect(core, hub);
        break;
      case 'disconnect':
        clients[step.client]?.read(core);
        clients[step.client]?.disconnect(hub);
        break;
      case 'pause':
        Object.assign(clients[step.client]?.sink ?? {}, { isPaused: true });
        break;
      case 'resume':
        clients[step.client]?.sink.resume();
        break;
      case 'read':
        clients[step.client]?.read(core);
        break;
      case 'breathe':
        for (let turn = 0; turn < step.turns; turn += 1) await new Promise(setImmediate);
        break;
      case 'restart':
        hub.stop();
        for (const each of clients) each.disconnect(undefined);
        core = await core.restart();
        hub = startHub(core);
    }
  };

  try {
    // Something to move: most trees that chance makes are flat.
    for (const [id, parent] of [['a'], ['b'], ['c', 'b'], ['d', 'c'], ['e', 'd'], ['f', 'd']] as const)
      await register(id, parent ?? null);
    for (const each of clients) each.connect(core, hub);
    for (const each of steps) await perform(each);
    for (const each of clients) {
      each.sink.resume();
      each.connect(core, hub);
    }
    for (const each of clients) {
      await eventually('it has heard everything', () => {
        each.read(core);
        return each.position === core.state.revisionText;
      });
      expect(visible(each.known, each.filter)).toEqual(visible(truth(core, each.filter), each.filter));
    }
  } finally {
    hub.stop();
  }
}

describe('any watcher', () => {
  it('that disconnects, pauses and resumes at random ends with the state of the registry', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), run), {
      numRuns: Number(process.env['MEMBRANE_PROPERTY_RUNS'] ?? 80),
    });
  }, 120_000);
});
