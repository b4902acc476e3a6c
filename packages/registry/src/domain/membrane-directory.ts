import type { StatusCounts } from '@membrane/protocol';
import type { NodeChange } from './change.js';
import { CreationOrder } from './creation-order.js';
import type { MembraneNode } from './membrane-node.js';
import type { TreeView } from './state-view.js';

interface NamespaceState {
  readonly nodes: Map<string, MembraneNode>;
  /** Ids by the parent they name, which need not exist. */
  readonly children: Map<string, Set<string>>;
  readonly order: CreationOrder;
  readonly counts: StatusCounts;
}

const NO_CHILDREN: ReadonlySet<string> = new Set();

/** The committed state: every node, by namespace and id, with the indexes that reads need. */
export class MembraneDirectory implements TreeView {
  readonly #namespaces = new Map<string, NamespaceState>();

  node(namespace: string, id: string): MembraneNode | undefined {
    return this.#namespaces.get(namespace)?.nodes.get(id);
  }

  childIds(namespace: string, id: string): ReadonlySet<string> {
    return this.#namespaces.get(namespace)?.children.get(id) ?? NO_CHILDREN;
  }

  /** Ids of a namespace in the order of their creation, from a creation revision on. */
  idsFrom(namespace: string, createdRevision: number): Iterable<string> {
    return this.#namespaces.get(namespace)?.order.from(createdRevision) ?? [];
  }

  /** Live instances by status, of every namespace that has or had a node. */
  *counts(): Iterable<readonly [namespace: string, counts: StatusCounts]> {
    for (const [name, { counts }] of this.#namespaces) yield [name, counts];
  }

  /** True where an id has a live instance: children of one that has none are detached. */
  isPresent(namespace: string, id: string): boolean {
    return (this.node(namespace, id)?.instances.length ?? 0) > 0;
  }

  /** A change of one node, its revisions stamped. Nodes must be added in the order of their creation. */
  apply({ before, after }: NodeChange): void {
    const node = after ?? before;
    if (node === undefined) return;
    const state = this.#stateOf(node.namespace);
    for (const { status } of before?.instances ?? []) state.counts[status] -= 1;
    for (const { status } of after?.instances ?? []) state.counts[status] += 1;
    if (before !== undefined && before.parent !== after?.parent) unlink(state, before);
    if (after === undefined) {
      state.nodes.delete(node.id);
      state.order.remove(node.createdRevision);
      if (state.nodes.size === 0) this.#namespaces.delete(node.namespace);
      return;
    }
    state.nodes.set(after.id, after);
    if (before === undefined) state.order.append(after.createdRevision, after.id);
    if (before?.parent !== after.parent) link(state, after);
  }

  #stateOf(namespace: string): NamespaceState {
    let state = this.#namespaces.get(namespace);
    if (state === undefined) {
      state = {
        nodes: new Map(),
        children: new Map(),
        order: new CreationOrder(),
        counts: { active: 0, unhealthy: 0, draining: 0 },
      };
      this.#namespaces.set(namespace, state);
    }
    return state;
  }
}

function link(state: NamespaceState, { id, parent }: MembraneNode): void {
  if (parent === null) return;
  const siblings = state.children.get(parent);
  if (siblings === undefined) state.children.set(parent, new Set([id]));
  else siblings.add(id);
}

function unlink(state: NamespaceState, { id, parent }: MembraneNode): void {
  if (parent === null) return;
  const siblings = state.children.get(parent);
  siblings?.delete(id);
  if (siblings?.size === 0) state.children.delete(parent);
}
