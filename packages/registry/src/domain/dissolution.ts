import { MembraneError } from '@membrane/protocol';
import { bury } from './burial.js';
import type { Decision } from './change.js';
import { findRevisionFault } from './membrane-revision.js';
import { findPlaced } from './placed-node.js';
import type { StateView } from './state-view.js';
import { parentOf } from './tree-walk.js';

export interface DissolutionCommand {
  readonly namespace: string;
  readonly id: string;
  readonly ifRevision: number | undefined;
}

/**
 * Ends a membrane; its children and its messages belong to its parent from then on. This is the dissolution rule of P
 * systems, [a]_h -> b (Gh. Păun, Computing with Membranes, J. Comput. Syst. Sci. 61(1), 2000), except that a root,
 * which a P system never dissolves, leaves its children as roots.
 */
export function decideDissolution(
  view: StateView,
  { namespace, id, ifRevision }: DissolutionCommand,
  nowMs: number,
): Decision<undefined> {
  const node = findPlaced(view, namespace, id);
  if (node instanceof MembraneError) return { kind: 'refused', error: node };
  const fault = findRevisionFault(node, ifRevision);
  if (fault !== undefined) return { kind: 'refused', error: fault };
  const parent = parentOf(view, node);
  const tombstone = { heir: parent, heirs: new Map<string, string>(), mailHeir: parent };
  return { kind: 'changed', outcome: undefined, change: bury(view, node, tombstone, nowMs) };
}
