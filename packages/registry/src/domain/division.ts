import { invalidRequest, MembraneError, type FieldError } from '@membrane/protocol';
import { bury } from './burial.js';
import type { Decision } from './change.js';
import type { MembraneNode } from './membrane-node.js';
import { findRevisionFault } from './membrane-revision.js';
import { findPlaced } from './placed-node.js';
import type { StateView } from './state-view.js';
import { parentOf } from './tree-walk.js';

export interface DivisionCommand {
  readonly namespace: string;
  readonly id: string;
  /** Siblings by child; at least one. */
  readonly heirs: ReadonlyMap<string, string>;
  readonly ifRevision: number | undefined;
}

/** Faults of one request that are told. */
const MAX_FAULTS = 8;

/**
 * Ends a membrane whose children go to its siblings, each to the one named for it; those not named go to the parent,
 * and the messages to the first sibling named. This is the division rule of P systems with active membranes,
 * [a]_h -> [b]_h [c]_h (Gh. Păun, P Systems with Active Membranes, J. Autom. Lang. Comb. 6(1), 2001), with the new
 * membranes registered before and the contents shared out instead of copied.
 */
export function decideDivision(
  view: StateView,
  command: DivisionCommand,
  nowMs: number,
): Decision<undefined> {
  const { namespace, id, heirs, ifRevision } = command;
  const node = findPlaced(view, namespace, id);
  if (node instanceof MembraneError) return { kind: 'refused', error: node };
  const revisionFault = findRevisionFault(node, ifRevision);
  if (revisionFault !== undefined) return { kind: 'refused', error: revisionFault };
  const parent = parentOf(view, node);
  const faults: FieldError[] = [];
  for (const [childId, heir] of heirs) {
    const fault = findHeirFault(view, node, parent, childId, heir);
    if (fault !== undefined) faults.push({ path: `heirs.${childId}`, message: fault });
    if (faults.length === MAX_FAULTS) break;
  }
  if (faults.length > 0) return { kind: 'refused', error: invalidRequest(faults, 'body') };
  const [mailHeir = null] = heirs.values();
  return {
    kind: 'changed',
    outcome: undefined,
    change: bury(view, node, { heir: parent, heirs, mailHeir }, nowMs),
  };
}

function findHeirFault(
  view: StateView,
  { namespace, id }: MembraneNode,
  parent: string | null,
  childId: string,
  heir: string,
): string | undefined {
  const child = view.node(namespace, childId);
  if (child === undefined || child.tombstone !== null || parentOf(view, child) !== id) {
    return `must be given for a child of "${id}", which "${childId}" is not`;
  }
  const sibling = view.node(namespace, heir);
  const isSibling =
    sibling !== undefined &&
    heir !== id &&
    sibling.instances.length > 0 &&
    parentOf(view, sibling) === parent;
  const place = parent === null ? 'another root' : `another child of "${parent}"`;
  return isSibling ? undefined : `must be a registered sibling of "${id}": ${place}; got "${heir}"`;
}
