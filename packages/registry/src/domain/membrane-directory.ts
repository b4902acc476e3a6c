import type { StatusCounts } from '@membrane/protocol';
import type { NodeChange } from './change.js';
import { CreationOrder } from './creation-order.js';
import { IdSets, NO_IDS, type Ids } from './id-sets.js';
import type { MembraneNode } from './membrane-node.js';
import type { PlaceTable } from './place-table.js';
import { ShardedMap } from './sharded-map.js';
import type { TreeView } from './state-view.js';
import { heirsIn } from './tombstone.js';
import { TreeHeights } from './tree-heights.js';
import { isPresent } from './tree-walk.js';

type NodeName = Pick<MembraneNode, 'namespace' | 'id'>;

interface NamespaceState {
  nodes: number;
  /** Ids by the parent they name, which need not exist. */
  readonly children: IdSets;
  /** Ids of the dissolved by whom their tombstones name. */
  readonly graves: IdSets;
  readonly order: CreationOrder;
  readonly counts: StatusCounts;
}

/** The committed state: every node, by namespace and id, with the indexes that reads need. */
export class MembraneDirectory implements TreeView {
  readonly #places: PlaceTable;
  readonly #namespaces = new Map<string, NamespaceState>();
  readonly #heights = new TreeHeights();
  /** Names of nodes with a tombstone, by namespace and id. */
  readonly #tombstones = new ShardedMap<NodeName>();

  constructor(places: PlaceTable) {
    this.#places = places;
  }

  node(namespace: string, id: string): MembraneNode | undefined {
    return this.#places.find(namespace, id)?.node;
  }

  childIds(namespace: string, id: string): Ids {
    return this.#namespaces.get(namespace)?.children.get(id) ?? NO_IDS;
  }

  graveIds(namespace: string, id: string): Ids {
    return this.#namespaces.get(namespace)?.graves.get(id) ?? NO_IDS;
  }

  /** Every node, those that are in no tree among them. */
  *nodes(): Iterable<MembraneNode> {
    for (const { node } of this.#places.all()) if (node !== undefined) yield node;
  }

  /** Names of the nodes that are not in a tree any more. */
  tombstones(): Iterable<NodeName> {
    return this.#tombstones.values();
  }

  /** Ids of a namespace in the order of their creation, from a creation revision on. */
  idsFrom(namespace: string, createdRevision: number): Iterable<string> {
    return this.#namespaces.get(namespace)?.order.from(createdRevision) ?? [];
  }

  /** Live instances by status, of every namespace that has or had a node. */
  *counts(): Iterable<readonly [namespace: string, counts: StatusCounts]> {
    for (const [name, { counts }] of this.#namespaces) yield [name, counts];
  }

  isPresent(namespace: string, id: string): boolean {
    return isPresent(this, namespace, id);
  }

  /** Levels that `id` and what stands below it do not exceed; they may be fewer. */
  heightOf(namespace: string, id: string): number {
    return this.#heights.heightOf(namespace, id);
  }

  /** A change of one node, its revisions stamped. Nodes must be added in the order of their creation. */
  apply({ before, after }: NodeChange): void {
    const node = after ?? before;
    if (node === undefined) return;
    const state = this.#stateOf(node.namespace);
    for (const { status } of before?.instances ?? []) state.counts[status] -= 1;
    for (const { status } of after?.instances ?? []) state.counts[status] += 1;
    if (before !== undefined && before.parent !== null && before.parent !== after?.parent) {
      state.children.remove(before.parent, before.id);
      this.#forgetHeight(state, node.namespace, before.parent);
    }
    if ((before?.tombstone ?? null) !== (after?.tombstone ?? null)) {
      reindexGraves(state, before, after);
      const key = `${node.namespace}/${node.id}`;
      if (after?.tombstone == null) this.#tombstones.delete(key);
      else this.#tombstones.set(key, { namespace: after.namespace, id: after.id });
      if (before?.tombstone != null)
        for (const heir of heirsIn(before.tombstone)) this.#forgetHeight(state, node.namespace, heir);
    }
    if (after === undefined) {
      this.#removeNode(node);
      state.nodes -= 1;
      state.order.remove(node.createdRevision);
      if (state.nodes === 0) this.#namespaces.delete(node.namespace);
      return;
    }
    this.#places.at(after.namespace, after.id).node = after;
    if (before === undefined) {
      state.nodes += 1;
      state.order.append(after.createdRevision, after.id);
    }
    if (after.parent !== null && before?.parent !== after.parent) state.children.add(after.parent, after.id);
    const isLeaf = !state.children.has(node.id) && !state.graves.has(node.id);
    this.#heights.note(this, { before, after }, isLeaf);
  }

  #removeNode({ namespace, id }: MembraneNode): void {
    const place = this.#places.find(namespace, id);
    if (place === undefined) return;
    place.node = undefined;
    this.#places.release(namespace, id, place);
  }

  #forgetHeight({ children, graves }: NamespaceState, namespace: string, id: string): void {
    if (!children.has(id) && !graves.has(id)) this.#heights.forget(namespace, id);
  }

  #stateOf(namespace: string): NamespaceState {
    let state = this.#namespaces.get(namespace);
    if (state === undefined) {
      state = {
        nodes: 0,
        children: new IdSets(),
        graves: new IdSets(),
        order: new CreationOrder(),
        counts: { active: 0, unhealthy: 0, draining: 0 },
      };
      this.#namespaces.set(namespace, state);
    }
    return state;
  }
}

function reindexGraves(
  { graves }: NamespaceState,
  before: MembraneNode | undefined,
  after: MembraneNode | undefined,
): void {
  if (before?.tombstone != null) for (const heir of heirsIn(before.tombstone)) graves.remove(heir, before.id);
  if (after?.tombstone != null) for (const heir of heirsIn(after.tombstone)) graves.add(heir, after.id);
}
