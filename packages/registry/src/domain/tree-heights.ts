import { LIMITS } from '@membrane/protocol';
import type { NodeChange } from './change.js';
import { ShardedMap } from './sharded-map.js';
import type { TreeView } from './state-view.js';
import { heirsIn } from './tombstone.js';
import { ancestorsOf } from './tree-walk.js';

/** Higher than any tree may be: how much does not matter. */
const MAX_HEIGHT = LIMITS.maxTreeDepth + 1;

type HeightOf = (namespace: string, id: string) => number;

const keyOf = (namespace: string, id: string): string => `${namespace}/${id}`;

/**
 * For each id a number of levels that it and what stands below it do not exceed, whether or not it has a node. It
 * grows at once, and shrinks when the last child has gone: so whether a tree has room for a subtree is mostly known
 * without walking it. Two things hold: a parent is higher than its children, and whom a tombstone names is as high as
 * its membrane was.
 */
export class TreeHeights {
  readonly #base: HeightOf;
  /** Of those with children. */
  readonly #heights = new ShardedMap<number>();

  /** `base`: what is known of others. */
  constructor(base: HeightOf = () => 1) {
    this.#base = base;
  }

  heightOf(namespace: string, id: string): number {
    return this.#heights.get(keyOf(namespace, id)) ?? this.#base(namespace, id);
  }

  /** To be told of every change of a node that the view shows from now on. `isLeaf`: that nothing stands below it. */
  note(view: TreeView, { before, after }: NodeChange, isLeaf = false): void {
    if (after === undefined) return;
    const { namespace, id } = after;
    const height = isLeaf ? 1 : this.heightOf(namespace, id);
    if (after.parent !== null && after.parent !== before?.parent) this.#raiseAbove(view, after, height);
    if (after.tombstone === null || after.tombstone === before?.tombstone) return;
    for (const heir of heirsIn(after.tombstone)) this.#raise(view, namespace, heir, height);
  }

  /** Nobody names the id any more. */
  forget(namespace: string, id: string): void {
    this.#heights.delete(keyOf(namespace, id));
  }

  #raise(view: TreeView, namespace: string, id: string, height: number): void {
    if (this.heightOf(namespace, id) >= height) return;
    this.#heights.set(keyOf(namespace, id), height);
    const node = view.node(namespace, id);
    if (node?.tombstone == null) {
      this.#raiseAbove(view, { namespace, id, parent: node?.parent ?? null }, height);
    } else {
      for (const heir of heirsIn(node.tombstone)) this.#raise(view, namespace, heir, height);
    }
  }

  #raiseAbove(view: TreeView, place: Parameters<typeof ancestorsOf>[1], height: number): void {
    let least = height;
    for (const ancestor of ancestorsOf(view, place)) {
      least = Math.min(least + 1, MAX_HEIGHT);
      if (this.heightOf(place.namespace, ancestor) >= least) return;
      this.#heights.set(keyOf(place.namespace, ancestor), least);
    }
  }
}
