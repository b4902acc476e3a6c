import fc from 'fast-check';
import type { MembraneTree } from '@membrane/protocol';
import { FakeClock } from '../support/fake-clock.js';
import { FlakyStore, registration, RegistryCore } from '../support/registry-core.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { forestOf } from '../support/tree.js';
import { MemoryMembraneStore } from '../../src/store/memory-membrane-store.js';
import type { MembraneStore } from '../../src/store/membrane-store.js';
import { openSqliteStore } from '../../src/store/sqlite-membrane-store.js';

/**
 * A naive tree: plain maps without tombstones, where a dissolution moves each child at once. The real one must agree
 * with it after every step, whatever is registered, moved, dissolved, divided and deregistered, at once and one after
 * the other, with sweeps and restarts in between.
 */

const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;
/** A chain of `x1` to this one stands there from the start, so that trees can be too deep. */
const FIXED_LENGTH = 60;
const DAY_MS = 86_400_000;

type Command =
  | { kind: 'register'; id: string; parent: string | null }
  | { kind: 'move'; id: string; parent: string | null }
  | { kind: 'dissolve'; id: string }
  | { kind: 'divide'; id: string; picks: number[] }
  | { kind: 'deregister'; id: string; cascade: boolean };
type Step = { kind: 'group'; commands: Command[] } | { kind: 'sweep' } | { kind: 'restart' };

interface ModelNode {
  parent: string | null;
  requested: string | null;
  live: boolean;
}

class Model {
  readonly nodes = new Map<string, ModelNode>();
  /** Those dissolved and not registered since, for those who name them later. */
  readonly heirs = new Map<string, string | null>();

  ancestors(parent: string | null): string[] {
    const chain: string[] = [];
    for (let id = parent; id !== null; id = this.nodes.get(id)?.parent ?? null) chain.push(id);
    return chain;
  }

  children(id: string): string[] {
    return [...this.nodes].filter(([, { parent }]) => parent === id).map(([childId]) => childId);
  }

  height(id: string): number {
    return 1 + Math.max(0, ...this.children(id).map((child) => this.height(child)));
  }

  /** The code it is refused with, or `done`. */
  apply(command: Command, heirs: Record<string, string>): string {
    const { id } = command;
    const node = this.nodes.get(id);
    switch (command.kind) {
      case 'register': {
        const parent = this.meantBy(command.parent);
        if (node !== undefined && (command.parent === node.requested || parent === node.parent)) {
          node.requested = command.parent;
          node.live = true;
          return 'done';
        }
        const fault = this.placeFault(id, parent);
        if (fault !== undefined) return fault;
        this.nodes.set(id, { parent, requested: command.parent, live: true });
        this.unbury(id);
        return 'done';
      }
      case 'move': {
        if (node === undefined) return 'not_found';
        if (node.parent === command.parent) return 'done';
        if (command.parent === id) return 'cycle';
        if (command.parent !== null && !this.nodes.has(command.parent)) return 'not_found';
        const fault = this.placeFault(id, command.parent);
        if (fault === undefined) node.parent = command.parent;
        return fault ?? 'done';
      }
      case 'dissolve':
      case 'divide': {
        if (node === undefined) return 'not_found';
        for (const child of this.children(id)) {
          const other = this.nodes.get(child);
          if (other !== undefined) other.parent = heirs[child] ?? node.parent;
        }
        this.nodes.delete(id);
        this.heirs.set(id, node.parent);
        return 'done';
      }
      default: {
        if (node?.live !== true) return 'not_registered';
        const below = [...this.nodes].filter(([, { parent }]) => this.ancestors(parent).includes(id));
        node.live = false;
        if (command.cascade) for (const [, other] of below) other.live = false;
        return 'done';
      }
    }
  }

  /** Children in the shape of the wire. */
  forest(): object[] {
    const present = (id: string | null): boolean => id !== null && this.nodes.get(id)?.live === true;
    const build = (id: string, parent: string | null): object => ({
      id,
      parent,
      detached: parent !== null && !present(parent),
      children: this.children(id)
        .filter(present)
        .sort()
        .map((child) => build(child, id)),
    });
    return [...this.nodes]
      .filter(([, { live, parent }]) => live && !present(parent))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([id, { parent }]) => build(id, parent));
  }

  /** Whom a registrant means by a parent that was dissolved. */
  private meantBy(parent: string | null): string | null {
    let name = parent;
    while (name !== null && this.heirs.has(name)) name = this.heirs.get(name) ?? null;
    return name;
  }

  /** Who has it as an heir means that one's heir: the name is another's now. */
  private unbury(id: string): void {
    const next = this.heirs.get(id);
    this.heirs.delete(id);
    if (next === undefined) return;
    for (const [other, heir] of this.heirs) if (heir === id) this.heirs.set(other, next);
  }

  private placeFault(id: string, parent: string | null): string | undefined {
    const above = this.ancestors(parent);
    if (above.includes(id)) return 'cycle';
    return above.length + this.height(id) > 64 ? 'conflict' : undefined;
  }
}

function simplify(trees: readonly MembraneTree[]): object[] {
  return [...trees]
    .sort((one, other) => (one.id < other.id ? -1 : 1))
    .map(({ id, parent, detached, children }) => ({ id, parent, detached, children: simplify(children) }));
}

/** Runs the real registry and the model side by side. */
class Comparison {
  private readonly model = new Model();
  private readonly clock = new FakeClock();
  private readonly reopen: () => Promise<MembraneStore>;
  private store: MembraneStore;
  private core: RegistryCore;

  constructor(store: MembraneStore, reopen: () => Promise<MembraneStore>) {
    this.store = store;
    this.reopen = reopen;
    this.core = this.start();
  }

  async load(): Promise<this> {
    await this.core.load();
    await this.run(
      Array.from({ length: FIXED_LENGTH }, (_, index) => {
        const parent = index === 0 ? null : `x${index}`;
        return { kind: 'register', id: `x${index + 1}`, parent } as const;
      }),
    );
    return this;
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'group') {
      // Whoever takes the name of a dissolved membrane waits for its sweep, behind those that came later.
      const isLate = step.commands.some(
        ({ kind, id }) =>
          kind === 'register' &&
          (this.model.heirs.has(id) ||
            step.commands.some((other) => other.id === id && ['dissolve', 'divide'].includes(other.kind))),
      );
      const groups = isLate ? step.commands.map((command) => [command]) : [step.commands];
      for (const group of groups) await this.run(group);
    } else if (step.kind === 'sweep') await this.core.tick();
    else await this.restart();
    await this.compare();
  }

  async close(): Promise<void> {
    await this.core.queue.idle();
    await this.store.close();
  }

  private start(): RegistryCore {
    return new RegistryCore(this.clock, new FlakyStore(this.store));
  }

  private async restart(): Promise<void> {
    await this.close();
    this.store = await this.reopen();
    this.core = await this.start().load();
  }

  /** Commands that arrive at once. */
  private async run(commands: readonly Command[]): Promise<void> {
    const revision = this.core.state.revision;
    // A division names what is there when it is sent: where that changes meanwhile it may be refused.
    const prepared = commands.map((command) => ({ command, heirs: this.heirsFor(command) }));
    const answers = await Promise.all(
      prepared.map(({ command, heirs }) =>
        this.submit(command, heirs).then(
          () => 'done',
          (error: unknown) => (error as { code: string }).code,
        ),
      ),
    );
    for (const [index, { command, heirs }] of prepared.entries()) {
      const code = answers[index];
      if (command.kind === 'divide' && !this.isFit(command.id, heirs)) {
        expect({ command, code }).toEqual({
          command,
          code: this.model.nodes.has(command.id) ? 'invalid_request' : 'not_found',
        });
        continue;
      }
      expect({ command, code }).toEqual({ command, code: this.model.apply(command, heirs) });
    }
    expect(this.core.state.revision).toBeGreaterThanOrEqual(revision);
  }

  private submit(command: Command, heirs: Record<string, string>): Promise<unknown> {
    const { service, tree } = this.core;
    const { id } = command;
    switch (command.kind) {
      case 'register':
        return service.register(registration(id, { parent: command.parent, heartbeat_interval_ms: DAY_MS }));
      case 'move':
        return tree.move(id, { parent: command.parent });
      case 'dissolve':
        return tree.dissolve(id, {});
      case 'divide':
        return tree.divide(id, { heirs });
      default:
        return service.deregister({ id, children: command.cascade ? 'cascade' : 'keep' });
    }
  }

  /** Some children for some siblings; where there are none, what must be refused. */
  private heirsFor(command: Command): Record<string, string> {
    if (command.kind !== 'divide') return {};
    const { id, picks } = command;
    const children = this.model.children(id);
    const siblings = this.siblings(id);
    if (children.length === 0 || siblings.length === 0) return { [id]: 'x1' };
    return Object.fromEntries(
      picks.map((pick, index) => [
        children[pick % children.length] ?? id,
        siblings[(pick + index) % siblings.length] ?? id,
      ]),
    );
  }

  private siblings(id: string): string[] {
    const node = this.model.nodes.get(id);
    return [...this.model.nodes]
      .filter(
        ([other, { live, parent }]) => node !== undefined && other !== id && live && parent === node.parent,
      )
      .map(([other]) => other);
  }

  private isFit(id: string, heirs: Record<string, string>): boolean {
    const children = this.model.children(id);
    const siblings = this.siblings(id);
    return Object.entries(heirs).every(
      ([child, heir]) => children.includes(child) && siblings.includes(heir),
    );
  }

  private async compare(): Promise<void> {
    const trees = await forestOf(this.core);
    expect(simplify(trees)).toEqual(this.model.forest());
    const records = this.core.list();
    const above = new Map(
      records.map(({ id }) => [id, this.model.ancestors(this.model.nodes.get(id)?.parent ?? null)]),
    );
    for (const { id, parent, detached } of records) {
      const [expected = null, ...rest] = above.get(id) ?? [];
      const isDetached = expected !== null && this.model.nodes.get(expected)?.live !== true;
      expect([id, parent, detached]).toEqual([id, expected, isDetached]);
      expect(rest.length).toBeLessThan(63);
    }
    for (const id of this.model.nodes.keys()) {
      expect(this.core.state.directory.heightOf('default', id)).toBeGreaterThanOrEqual(this.model.height(id));
    }
    const listed = (query: object): string[] =>
      [...this.core.service.listAll(query, [])].flat().map(({ id }) => id);
    const idsOf = (matches: (id: string) => boolean): string[] =>
      records.map((record) => record.id).filter(matches);
    for (const id of IDS) {
      const levelOf = (other: string): number =>
        other === id ? 0 : (above.get(other) ?? []).indexOf(id) + 1 || Number.POSITIVE_INFINITY;
      expect(listed({ subtree: id })).toEqual(idsOf((other) => levelOf(other) < 64));
      expect(listed({ subtree: id, depth: 1 })).toEqual(idsOf((other) => levelOf(other) <= 1));
      expect(listed({ parent: id })).toEqual(idsOf((other) => levelOf(other) === 1));
    }
    const revisions = this.core.service.events({ limit: 10_000 }).map(({ revision }) => revision);
    expect(revisions).toEqual([...revisions].sort((left, right) => left - right));
  }
}

const id = fc.constantFrom(...IDS);
const parent = fc.constantFrom(null, ...IDS, 'x1', 'x58', 'x60');
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('register' as const), id, parent }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), id, parent }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('dissolve' as const), id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('divide' as const),
      id,
      picks: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('deregister' as const), id, cascade: fc.boolean() }),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('group' as const),
      commands: fc.array(command, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);
const steps = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });
const RUNS = Number(process.env['MEMBRANE_PROPERTY_RUNS'] ?? 5);
const makeDirectory = useTemporaryDirectories();

test('the tree agrees with a naive one, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const store = new MemoryMembraneStore();
      const comparison = await new Comparison(store, () => Promise.resolve(store)).load();
      for (const one of all) await comparison.step(one);
    }),
    { numRuns: RUNS },
  );
}, 600_000);

test('the tree agrees with a naive one when it comes from a file', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const directory = await makeDirectory();
      const open = (): Promise<MembraneStore> => openSqliteStore(directory);
      const comparison = await new Comparison(await open(), open).load();
      try {
        for (const one of all) await comparison.step(one);
        await comparison.step({ kind: 'restart' });
      } finally {
        await comparison.close();
      }
    }),
    { numRuns: Math.ceil(RUNS / 10) },
  );
}, 600_000);
