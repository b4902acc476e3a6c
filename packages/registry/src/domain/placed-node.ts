import type { MembraneError } from '@membrane/protocol';
import type { MembraneNode } from './membrane-node.js';
import type { TreeView } from './state-view.js';
import { absentError } from './tombstone.js';

/** The node of an id that has a place in the tree, whether or not anybody is registered; else `not_found`. */
export function findPlaced(view: TreeView, namespace: string, id: string): MembraneNode | MembraneError {
  const node = view.node(namespace, id);
  return node === undefined || node.tombstone !== null ? absentError(node, namespace, id) : node;
}
