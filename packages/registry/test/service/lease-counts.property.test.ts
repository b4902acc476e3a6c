import fc from 'fast-check';
import { TOP } from '../../src/domain/change-scopes.js';
import { isSilent } from '../../src/domain/membrane-node.js';
import { ancestorsOf } from '../../src/domain/tree-walk.js';
import { registration, RegistryCore } from '../support/registry-core.js';

/**
 * The leases of every subtree, counted anew after every step, must be those that are kept: whatever comes, goes, moves,
 * is dissolved and divided, falls silent, is kept and is back, with sweeps and restarts in between.
 */

const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;
/** Enough that a few subtrees of them are preserved when they fall silent. */
const CROWD = 11;

type Command =
  | { kind: 'register'; id: string; parent: string | null; instance: string }
  | { kind: 'crowd'; id: string; parent: string | null }
  | { kind: 'move'; id: string; parent: string | null }
  | { kind: 'dissolve'; id: string }
  | { kind: 'divide'; id: string; picks: number[] }
  | { kind: 'deregister'; id: string; cascade: boolean };
type Step =
  | { kind: 'group'; commands: Command[] }
  | { kind: 'renew'; ids: string[] }
  | { kind: 'pass'; ms: number }
  | { kind: 'restart' };

interface Count {
  n: number;
  s: number;
  held: number;
}

function countAnew({ state }: RegistryCore): Map<string, Count> {
  const counts = new Map([...IDS, TOP].map((id) => [id, { n: 0, s: 0, held: 0 }]));
  for (const id of IDS) {
    const node = state.directory.node('default', id);
    if (node === undefined) continue;
    for (const name of new Set([id, ...ancestorsOf(state.view, node), TOP])) {
      const count = counts.get(name);
      for (const instance of count === undefined ? [] : node.instances) {
        const lease = state.leases.get('default', id, instance.instanceId);
        if (count === undefined) continue;
        count.n += 1;
        if (isSilent(instance)) count.s += 1;
        if (lease?.keeping !== undefined) count.held += 1;
      }
    }
  }
  return counts;
}

function siblingsOf({ state }: RegistryCore, id: string): { children: string[]; siblings: string[] } {
  const parentOf = (each: string): string | null | undefined => {
    const node = state.directory.node('default', each);
    return node === undefined || node.tombstone !== null
      ? undefined
      : (ancestorsOf(state.view, node)[0] ?? null);
  };
  const others = IDS.filter((each) => each !== id);
  return {
    children: others.filter((each) => parentOf(each) === id),
    siblings: others.filter((each) => parentOf(each) !== undefined && parentOf(each) === parentOf(id)),
  };
}

function submit(core: RegistryCore, command: Command): Promise<unknown> {
  const { service, tree } = core;
  const { id } = command;
  switch (command.kind) {
    case 'register': {
      const { parent, instance } = command;
      return service.register(registration(id, { parent, instance_id: instance }));
    }
    case 'crowd':
      return Promise.all(
        Array.from({ length: CROWD }, (_, index) =>
          service.register(registration(id, { parent: command.parent, instance_id: `r${index}` })),
        ),
      );
    case 'move':
      return tree.move(id, { parent: command.parent });
    case 'dissolve':
      return tree.dissolve(id, {});
    case 'divide': {
      const { children, siblings } = siblingsOf(core, id);
      const heirs = children.flatMap((child, index) => {
        const heir = siblings[(command.picks[index % command.picks.length] ?? 0) % (siblings.length + 1)];
        return heir === undefined ? [] : [[child, heir] as const];
      });
      return tree.divide(id, { heirs: Object.fromEntries(heirs) });
    }
    default:
      return service.deregister({ id, children: command.cascade ? 'cascade' : 'keep' });
  }
}

async function run(steps: readonly Step[]): Promise<void> {
  let core = await new RegistryCore().load();
  for (const step of steps) {
    switch (step.kind) {
      case 'group':
        await Promise.all(step.commands.map((command) => submit(core, command).catch(() => undefined)));
        break;
      case 'renew':
        for (const id of step.ids) {
          for (const { instanceId } of core.state.directory.node('default', id)?.instances ?? [])
            core.service.heartbeat({ id, instance_id: instanceId });
        }
        break;
      case 'pass':
        await core.pass(step.ms);
        break;
      default:
        core = await core.restart();
    }
    await core.queue.idle();
    const kept = [...IDS, TOP].map((id) => {
      const { n, s, held } = core.state.leaseCounts.of('default', id);
      return [id, { n, s, held }] as const;
    });
    expect(new Map<string, Count>(kept)).toEqual(countAnew(core));
    for (const id of IDS) {
      const node = core.state.directory.node('default', id);
      const above =
        node === undefined || node.instances.length === 0 ? [] : ancestorsOf(core.state.view, node);
      const expected = node === undefined || node.instances.length === 0 ? [] : [id, ...above, TOP];
      const found = core.state.leaseCounts.above('default', id).map((subtree) => subtree.id);
      if (expected.length > 0) expect(found).toEqual(expected);
    }
  }
}

const id = fc.constantFrom(...IDS);
const parent = fc.option(id);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      id,
      parent,
      instance: fc.constantFrom('default', 'default', 'r1'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crowd' as const), id, parent }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), id, parent }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('dissolve' as const), id }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('divide' as const),
      id,
      picks: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }),
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
      commands: fc.array(command, { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('renew' as const), ids: fc.uniqueArray(id, { minLength: 1 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(100, 2_100, 3_000) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);

test('leases are counted right in every subtree, whatever happens', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), run), {
    numRuns: Number(process.env['MEMBRANE_PROPERTY_RUNS'] ?? 20),
  });
}, 600_000);
