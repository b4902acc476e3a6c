import type { NodeChange } from './change.js';
import type { MembraneNode } from './membrane-node.js';
import type { TreeView } from './state-view.js';
import { heirsIn } from './tombstone.js';

const keyOf = (namespace: string, id: string): string => `${namespace}/${id}`;

/**
 * The tree as it was when this was made, while it goes on changing: what changes is remembered as it was before. So a
 * walk can take its time and still see one state.
 */
export class TreeAsOf implements TreeView {
  readonly #tree: TreeView;
  readonly #nodes = new Map<string, MembraneNode | undefined>();
  /** Ids that have changed, by the parent that they had. */
  readonly #children = new Map<string, string[]>();
  /** Ids that have changed, by the heirs that their tombstone named. */
  readonly #graves = new Map<string, string[]>();

  constructor(tree: TreeView) {
    this.#tree = tree;
  }

  /** Nodes that are remembered. */
  get size(): number {
    return this.#nodes.size;
  }

  /** To be told of every change from then on, in order. */
  note(nodes: readonly NodeChange[]): void {
    for (const { before, after } of nodes) {
      const node = after ?? before;
      if (node === undefined) continue;
      const key = keyOf(node.namespace, node.id);
      if (this.#nodes.has(key)) continue;
      this.#nodes.set(key, before);
      if (before === undefined) continue;
      if (before.parent !== null) addTo(this.#children, keyOf(node.namespace, before.parent), node.id);
      if (before.tombstone === null) continue;
      for (const heir of heirsIn(before.tombstone)) addTo(this.#graves, keyOf(node.namespace, heir), node.id);
    }
  }

  node(namespace: string, id: string): MembraneNode | undefined {
    const key = keyOf(namespace, id);
    return this.#nodes.has(key) ? this.#nodes.get(key) : this.#tree.node(namespace, id);
  }

  *childIds(namespace: string, id: string): Iterable<string> {
    for (const childId of this.#tree.childIds(namespace, id)) {
      if (!this.#nodes.has(keyOf(namespace, childId))) yield childId;
    }
    yield* this.#children.get(keyOf(namespace, id)) ?? [];
  }

  *graveIds(namespace: string, id: string): Iterable<string> {
    for (const graveId of this.#tree.graveIds(namespace, id)) {
      if (!this.#nodes.has(keyOf(namespace, graveId))) yield graveId;
    }
    yield* this.#graves.get(keyOf(namespace, id)) ?? [];
  }
}

function addTo(index: Map<string, string[]>, key: string, id: string): void {
  const ids = index.get(key);
  if (ids === undefined) index.set(key, [id]);
  else ids.push(id);
}
