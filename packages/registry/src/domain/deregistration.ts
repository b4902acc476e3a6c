import type { Decision, EventDraft, NodeChange } from './change.js';
import { findLeaseFault, findMissingLeaseFault, toLeaseError } from './lease-fault.js';
import { endInstance, findEnded, findInstance, type Instance, type MembraneNode } from './membrane-node.js';
import type { StateView } from './state-view.js';
import { ancestorsOf, descendantsOf } from './tree-walk.js';

export interface DeregistrationCommand {
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
  readonly incarnation: number | undefined;
  readonly tokenHash: string | null;
  readonly cascade: boolean;
  readonly force: boolean;
}

/** Ends one registration and, with `cascade`, every registration below its id. */
export function decideDeregistration(
  view: StateView,
  command: DeregistrationCommand,
  nowMs: number,
): Decision<undefined> {
  const { namespace, id, instanceId, tokenHash } = command;
  const node = view.node(namespace, id);
  const live = findInstance(node, instanceId);
  if (node === undefined || live === undefined) {
    const ended = findEnded(node, instanceId);
    // A repeated call whose first answer was lost: what it asks for is done.
    if (ended?.reason === 'departed' && tokenHash !== null && ended.tokenHash === tokenHash) {
      return { kind: 'unchanged', outcome: undefined };
    }
    return { kind: 'refused', error: toLeaseError(findMissingLeaseFault(ended, tokenHash), id) };
  }
  const fault = command.force ? undefined : findLeaseFault(live, tokenHash, command.incarnation);
  if (fault !== undefined) return { kind: 'refused', error: toLeaseError(fault, id) };

  const own = live.tokenHash === tokenHash;
  const nodes: NodeChange[] = [
    { before: node, after: endInstance(node, live, own ? 'departed' : 'removed', nowMs) },
  ];
  const events: EventDraft[] = [departure(view, node, live)];
  if (command.cascade) {
    for (const descendantId of descendantsOf(view, namespace, id)) {
      const descendant = view.node(namespace, descendantId);
      if (descendant === undefined || descendant.instances.length === 0) continue;
      nodes.push({
        before: descendant,
        after: descendant.instances.reduce(
          (rest, instance) => endInstance(rest, instance, 'removed', nowMs),
          descendant,
        ),
      });
      events.push(...descendant.instances.map((instance) => departure(view, descendant, instance)));
    }
  }
  return { kind: 'changed', outcome: undefined, change: { atMs: nowMs, nodes, events } };
}

function departure(view: StateView, node: MembraneNode, instance: Instance): EventDraft {
  const ancestors = ancestorsOf(view, node);
  return {
    event: 'deregistered',
    namespace: node.namespace,
    id: node.id,
    instanceId: instance.instanceId,
    parent: ancestors[0] ?? null,
    before: ancestors,
  };
}
