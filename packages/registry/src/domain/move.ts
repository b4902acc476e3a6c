import { LIMITS, MembraneError, type ErrorCode } from '@membrane/protocol';
import type { Decision, EventDraft } from './change.js';
import { findPlaced } from './placed-node.js';
import { PENDING_REVISION, type Instance, type MembraneNode } from './membrane-node.js';
import { findRevisionFault } from './membrane-revision.js';
import type { StateView } from './state-view.js';
import { absentError } from './tombstone.js';
import { ancestorsOf, isTooDeep } from './tree-walk.js';

export interface MoveCommand {
  readonly namespace: string;
  readonly id: string;
  /** Null: a root. */
  readonly parent: string | null;
  readonly ifRevision: number | undefined;
}

/**
 * Gives a membrane another parent; what stands below it comes along. What its registrant asked for stays as it is, so
 * that registering again as before does not undo the move.
 */
export function decideMove(view: StateView, command: MoveCommand, nowMs: number): Decision<undefined> {
  const { namespace, id, parent } = command;
  const node = findPlaced(view, namespace, id);
  if (node instanceof MembraneError) return { kind: 'refused', error: node };
  const fault = findRevisionFault(node, command.ifRevision);
  if (fault !== undefined) return { kind: 'refused', error: fault };

  const before = ancestorsOf(view, node);
  if ((before[0] ?? null) === parent) return { kind: 'unchanged', outcome: undefined };
  const after = ancestorsOf(view, { namespace, id, parent });
  const placeFault = findPlaceFault(view, command, after);
  if (placeFault !== undefined) return { kind: 'refused', error: placeFault };

  const instances = node.instances.map((instance) => ({ ...instance, revision: PENDING_REVISION }));
  const moved: MembraneNode = { ...node, parent, revision: PENDING_REVISION, instances };
  const draft = { event: 'moved', namespace, id, parent, before, after } as const;
  return {
    kind: 'changed',
    outcome: undefined,
    change: { atMs: nowMs, nodes: [{ before: node, after: moved }], events: toEvents(draft, instances) },
  };
}

/** One event an instance, since each has a record that changes; where there is none, one of the place. */
function toEvents(draft: Omit<EventDraft, 'instanceId'>, instances: readonly Instance[]): EventDraft[] {
  if (instances.length === 0) return [{ ...draft, instanceId: 'default' }];
  return instances.map((instance) => ({ ...draft, instanceId: instance.instanceId, instance }));
}

/** Why it cannot have this parent, or undefined. `ancestors`: the parent and those above it. */
function findPlaceFault(
  view: StateView,
  { namespace, id, parent }: MoveCommand,
  ancestors: readonly string[],
): MembraneError | undefined {
  if (parent === null) return undefined;
  if (parent === id) return refuseParent('cycle', `must be another membrane than "${id}" itself, or null`);
  const parentNode = view.node(namespace, parent);
  if (parentNode === undefined || parentNode.tombstone !== null) {
    const { message } = absentError(parentNode, namespace, parent);
    return refuseParent('not_found', `must be a membrane that is there, or null; ${message}`);
  }
  if (ancestors.includes(id)) {
    return refuseParent('cycle', `must not stand below "${id}"; got "${parent}"`);
  }
  if (isTooDeep(view, namespace, id, ancestors.length)) {
    const message = `must leave room for "${id}" and what stands below it: the tree has at most ${LIMITS.maxTreeDepth} levels, and "${parent}" is on level ${ancestors.length}`;
    return refuseParent('conflict', message);
  }
  return undefined;
}

function refuseParent(code: ErrorCode, message: string): MembraneError {
  return new MembraneError(code, `parent ${message}`, { details: { errors: [{ path: 'parent', message }] } });
}
