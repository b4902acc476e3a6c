import type { NodeChange } from './change.js';
import type { MembraneNode } from './membrane-node.js';
import type { TreeView } from './state-view.js';

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
      if (before?.parent == null) continue;
      const parentKey = keyOf(node.namespace, before.parent);
      const siblings = this.#children.get(parentKey);
      if (siblings === undefined) this.#children.set(parentKey, [node.id]);
      else siblings.push(node.id);
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
}
