import type { Decision, NodeChange } from './change.js';
import { PENDING_REVISION, type MembraneNode } from './membrane-node.js';
import type { StateView, TreeView } from './state-view.js';
import { heirOf, type Tombstone } from './tombstone.js';
import { parentOf } from './tree-walk.js';

export interface TombstoneSweepCommand {
  readonly namespace: string;
  readonly id: string;
  /** Nodes that it may rewrite. */
  readonly limit: number;
}

/** True where somebody still means the heir by naming this id. */
export function isClaimed(view: TreeView, namespace: string, id: string): boolean {
  for (const _ of view.childIds(namespace, id)) return true;
  for (const _ of view.graveIds(namespace, id)) return true;
  return false;
}

/**
 * Rewrites those who name a dissolved membrane so that they name its heir, as far as the limit goes. It changes no
 * parent that anybody sees, so it has no events. First children, also those that come by way of other tombstones:
 * whom they go to can depend on who they are. Then the tombstones, which have no claims left.
 * The outcome: whether it has to go on.
 */
export function decideTombstoneSweep(
  view: StateView,
  { namespace, id, limit }: TombstoneSweepCommand,
  nowMs: number,
): Decision<boolean> {
  const tombstone = view.node(namespace, id)?.tombstone;
  if (tombstone == null) return { kind: 'unchanged', outcome: false };
  const nodes: NodeChange[] = [];
  for (const graveId of gravesUpTo(view, namespace, id)) {
    for (const childId of view.childIds(namespace, graveId)) {
      if (nodes.length === limit) return change(nodes, true, nowMs);
      const child = view.node(namespace, childId);
      if (child === undefined) continue;
      nodes.push({
        before: child,
        after: { ...child, parent: parentOf(view, child), revision: PENDING_REVISION },
      });
    }
  }
  for (const graveId of view.graveIds(namespace, id)) {
    if (nodes.length >= limit) return change(nodes, true, nowMs);
    const grave = view.node(namespace, graveId);
    if (grave?.tombstone == null) continue;
    const after: MembraneNode = {
      ...grave,
      tombstone: passOn(grave.tombstone, id, tombstone),
      revision: PENDING_REVISION,
    };
    nodes.push({ before: grave, after });
  }
  return nodes.length === 0 ? { kind: 'unchanged', outcome: false } : change(nodes, false, nowMs);
}

function change(nodes: readonly NodeChange[], goesOn: boolean, nowMs: number): Decision<boolean> {
  return { kind: 'changed', outcome: goesOn, change: { atMs: nowMs, nodes, events: [] } };
}

/** A tombstone and all that lead to it. */
function gravesUpTo(view: TreeView, namespace: string, id: string): Set<string> {
  const graves = new Set([id]);
  for (const graveId of graves) for (const other of view.graveIds(namespace, graveId)) graves.add(other);
  return graves;
}

/** A tombstone that named `id`, with the heirs of that one in its place. */
function passOn(tombstone: Tombstone, id: string, next: Tombstone): Tombstone {
  const heirs = new Map(
    [...tombstone.heirs].map(([childId, heir]) => [childId, heir === id ? heirOf(next, childId) : heir]),
  );
  return {
    heir: tombstone.heir === id ? next.heir : tombstone.heir,
    heirs,
    mailHeir: tombstone.mailHeir === id ? next.mailHeir : tombstone.mailHeir,
  };
}
