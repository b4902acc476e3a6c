import type { NodeChange } from './change.js';
import { TOP } from './change-scopes.js';
import type { CountEntry, SubtreeLeases } from './count-entry.js';
import { isSilent, type MembraneNode } from './membrane-node.js';
import type { PlaceTable } from './place-table.js';
import type { TreeView } from './state-view.js';

type Numbers = Pick<SubtreeLeases, 'n' | 's' | 'held'>;

/**
 * Counts leases by subtree, kept as changes are applied: a step for each ancestor where an instance comes, goes, falls
 * silent or is back, and none where one renews. A subtree that moves takes its numbers from the old ancestors to the
 * new ones. There is an entry for each subtree that has a lease, and no other.
 *
 * Most subtrees are a single active lease. Such an id has no entry of its own, for the sake of memory: the one of its
 * parent stands in its place, which is known by its id.
 *
 * A grave hands its numbers on to its heir, as its children do who name it: so a dissolution moves none of them, and
 * rewriting them later changes no number that anybody sees. Only those that a division gave to somebody by name are
 * counted there at once.
 */
export class LeaseCounts {
  readonly #tree: TreeView;
  readonly #places: PlaceTable;

  /** `tree` is the committed one. */
  constructor(tree: TreeView, places: PlaceTable) {
    this.#tree = tree;
    this.#places = places;
  }

  /** The subtree of an id, or with `TOP` the namespace. One that was dissolved has none. */
  of(namespace: string, id: string): SubtreeLeases {
    const entry = this.#find(namespace, id);
    return entry === undefined || entry.isGrave ? { id, n: 0, s: 0, held: 0 } : entry;
  }

  /** Every subtree that a lease of this id is in: its own, those of its ancestors, and last the namespace. */
  above(namespace: string, id: string): SubtreeLeases[] {
    const above: SubtreeLeases[] = [];
    let entry = this.#find(namespace, id);
    for (; entry !== undefined; entry = entry.parent) if (!entry.isGrave) above.push(entry);
    return above;
  }

  /** What a change did to the nodes; the tree shows it already. */
  apply(nodes: readonly NodeChange[]): void {
    for (const { before, after } of nodes) {
      const node = after ?? before;
      if (node === undefined) continue;
      const { namespace, id } = node;
      if (before === undefined && this.#addSingle(node)) continue;
      if (isRelinked(before, after)) {
        this.#relink(namespace, id);
        for (const childId of before?.tombstone?.heirs.keys() ?? []) this.#relink(namespace, childId);
        for (const childId of after?.tombstone?.heirs.keys() ?? []) this.#relink(namespace, childId);
      }
      const n = (after?.instances.length ?? 0) - (before?.instances.length ?? 0);
      this.#add(namespace, id, { n, s: countSilent(after) - countSilent(before), held: 0 });
    }
    // Not before all are counted: until then the tree is ahead of the numbers.
    for (const { before, after } of nodes) {
      const node = after ?? before;
      if (node !== undefined && before !== undefined) this.#release(node.namespace, node.id);
    }
  }

  /** A lease of this id is kept beyond its end, or (-1) is not any more. */
  addHeld(namespace: string, id: string, held: 1 | -1): void {
    this.#add(namespace, id, { n: 0, s: 0, held });
  }

  /** The entry of an id, or what would be in it. */
  #find(namespace: string, id: string): CountEntry | undefined {
    const entry = this.#places.find(namespace, id)?.counts;
    return entry === undefined || entry.id === id ? entry : toOwn(id, entry);
  }

  /** The entry goes where its parent's can stand in its place. */
  #release(namespace: string, id: string): void {
    const place = this.#places.find(namespace, id);
    const entry = place?.counts;
    if (place === undefined || entry?.id !== id || entry.parent === undefined || entry.isGrave) return;
    // One in all and one of its own: none is counted below it.
    const isSingle = entry.n === 1 && place.node?.instances.length === 1;
    if (isSingle && entry.s === 0 && entry.held === 0) place.counts = entry.parent;
  }

  /** A new node with one active lease, as nearly all are, is counted at its parent at once. False for any other. */
  #addSingle(node: MembraneNode): boolean {
    const { namespace, id, tombstone, instances } = node;
    const [instance] = instances;
    const isSingle =
      tombstone === null && instances.length === 1 && instance !== undefined && !isSilent(instance);
    const place = this.#places.at(namespace, id);
    if (!isSingle || place.counts !== undefined) return false;
    place.counts = this.#entryOf(namespace, linkOf(this.#tree, namespace, id, node));
    this.#addFrom(namespace, place.counts, { n: 1, s: 0, held: 0 });
    return true;
  }

  #isGrave(namespace: string, id: string): boolean {
    return this.#tree.node(namespace, id)?.tombstone != null;
  }

  #add(namespace: string, id: string, numbers: Numbers): void {
    if (numbers.n === 0 && numbers.s === 0 && numbers.held === 0) return;
    this.#addFrom(namespace, this.#entryOf(namespace, id), numbers);
  }

  #addFrom(namespace: string, from: CountEntry | undefined, { n, s, held }: Numbers): void {
    for (let entry = from; entry !== undefined; entry = entry.parent) {
      entry.n += n;
      entry.s += s;
      entry.held += held;
      // Those below it have none either, so nobody refers to it.
      if (entry.n === 0) this.#delete(namespace, entry.id);
    }
  }

  /** It may have another parent now, or be a grave. */
  #relink(namespace: string, id: string): void {
    if (this.#places.find(namespace, id)?.counts === undefined) return;
    const entry = this.#entryOf(namespace, id);
    entry.isGrave = this.#isGrave(namespace, id);
    const parent = this.#entryOf(namespace, linkOf(this.#tree, namespace, id));
    const previous = entry.parent;
    if (parent === previous) return;
    const { n, s, held } = entry;
    // First added, so that an ancestor of both places is not empty in between.
    this.#addFrom(namespace, parent, { n, s, held });
    this.#addFrom(namespace, previous, { n: -n, s: -s, held: -held });
    entry.parent = parent;
  }

  /** Made where there is none; then a lease must be added to it. */
  #entryOf(namespace: string, id: string): CountEntry {
    const place = this.#places.at(namespace, id);
    const found = place.counts;
    if (found?.id === id) return found;
    if (found === undefined) {
      const parent = id === TOP ? undefined : this.#entryOf(namespace, linkOf(this.#tree, namespace, id));
      place.counts = { id, n: 0, s: 0, held: 0, parent, isGrave: this.#isGrave(namespace, id) };
    } else {
      place.counts = toOwn(id, found);
    }
    return place.counts;
  }

  #delete(namespace: string, id: string): void {
    const place = this.#places.find(namespace, id);
    if (place === undefined) return;
    place.counts = undefined;
    this.#places.release(namespace, id, place);
  }
}

/** Of an id in whose place its parent's entry stands. */
function toOwn(id: string, parent: CountEntry): CountEntry {
  return { id, n: 1, s: 0, held: 0, parent, isGrave: false };
}

/** Where the numbers of an id are added: at its parent, or at a grave that hands them on to the parent. */
function linkOf(tree: TreeView, namespace: string, id: string, node = tree.node(namespace, id)): string {
  if (node === undefined) return TOP;
  if (node.tombstone !== null) return node.tombstone.heir ?? TOP;
  let link = node.parent;
  for (let name = link; name !== null;) {
    const tombstone = tree.node(namespace, name)?.tombstone;
    if (tombstone == null) break;
    const own = tombstone.heirs.get(id);
    if (own !== undefined) link = own;
    name = own === undefined ? tombstone.heir : own;
  }
  return link ?? TOP;
}

function isRelinked(before: MembraneNode | undefined, after: MembraneNode | undefined): boolean {
  return (
    before === undefined ||
    after === undefined ||
    before.parent !== after.parent ||
    before.tombstone !== after.tombstone
  );
}

function countSilent(node: MembraneNode | undefined): number {
  let count = 0;
  for (const instance of node?.instances ?? []) if (isSilent(instance)) count += 1;
  return count;
}
