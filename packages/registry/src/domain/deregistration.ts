import { LIMITS, MembraneError } from '@membrane/protocol';
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

/** Places that a cascade looks at, also those where nobody is registered any more: that is done in one turn. */
const MAX_PLACES = 10_000;

/** Ends one registration and, with `cascade` where it is the last of its id, every registration below. */
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
  // Where other instances of the id live the membrane is still there, and so are its children.
  const below = command.cascade && node.instances.length === 1 ? findBelow(view, node) : [];
  if (below instanceof MembraneError) return { kind: 'refused', error: below };
  for (const descendant of below) {
    const after = descendant.instances.reduce(
      (rest, instance) => endInstance(rest, instance, 'removed', nowMs),
      descendant,
    );
    nodes.push({ before: descendant, after });
    events.push(...descendant.instances.map((instance) => departure(view, descendant, instance)));
  }
  return { kind: 'changed', outcome: undefined, change: { atMs: nowMs, nodes, events } };
}

/** Those below who are registered, or the refusal where they are too many to end at once. */
function findBelow(view: StateView, { namespace, id }: MembraneNode): MembraneNode[] | MembraneError {
  const places = descendantsOf(view, namespace, id, Number.POSITIVE_INFINITY, MAX_PLACES);
  if (places.length > MAX_PLACES) {
    return refuse(
      `more than ${MAX_PLACES} ids stand below "${id}", with those that ended in the last 24 hours: deregister "${id}" without its children`,
    );
  }
  const found: MembraneNode[] = [];
  let registrations = 0;
  for (const place of places) {
    const node = view.node(namespace, place);
    if (node === undefined || node.instances.length === 0) continue;
    registrations += node.instances.length;
    if (registrations > LIMITS.maxCascade) {
      return refuse(
        `more than ${LIMITS.maxCascade} registrations are below "${id}", and no more end at once: deregister subtrees of it first, or "${id}" without its children`,
      );
    }
    found.push(node);
  }
  return found;
}

function refuse(message: string): MembraneError {
  return new MembraneError('conflict', message);
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
