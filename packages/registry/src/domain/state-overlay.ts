import type { Change, NodeChange } from './change.js';
import { MailOverlay } from './mail-overlay.js';
import type { MembraneNode } from './membrane-node.js';
import type { StateView } from './state-view.js';
import { heirsIn } from './tombstone.js';
import { TreeHeights } from './tree-heights.js';

const keyOf = (namespace: string, id: string): string => `${namespace}/${id}`;

/** A state with the changes of a group laid over it: what a command sees of those decided before it. */
export class StateOverlay implements StateView {
  readonly mail: MailOverlay;
  readonly #base: StateView;
  readonly #nodes = new Map<string, MembraneNode | undefined>();
  readonly #children = new Map<string, { added: Set<string>; removed: Set<string> }>();
  readonly #heights: TreeHeights;
  /** Ids that the group buried, by namespace. */
  readonly #graves = new Map<string, Set<string>>();

  constructor(base: StateView) {
    this.#base = base;
    this.mail = new MailOverlay(base.mail);
    this.#heights = new TreeHeights((namespace, id) => base.heightOf(namespace, id));
  }

  node(namespace: string, id: string): MembraneNode | undefined {
    const key = keyOf(namespace, id);
    return this.#nodes.has(key) ? this.#nodes.get(key) : this.#base.node(namespace, id);
  }

  *childIds(namespace: string, id: string): Iterable<string> {
    const delta = this.#children.get(keyOf(namespace, id));
    for (const childId of this.#base.childIds(namespace, id)) {
      if (delta?.removed.has(childId) !== true) yield childId;
    }
    if (delta !== undefined) yield* delta.added;
  }

  *graveIds(namespace: string, id: string): Iterable<string> {
    const own = this.#graves.get(namespace);
    for (const graveId of this.#base.graveIds(namespace, id)) {
      if (own?.has(graveId) !== true && this.#isGraveOf(namespace, graveId, id)) yield graveId;
    }
    for (const graveId of own ?? []) if (this.#isGraveOf(namespace, graveId, id)) yield graveId;
  }

  heightOf(namespace: string, id: string): number {
    return this.#heights.heightOf(namespace, id);
  }

  /** True where the group has changed this node: its revisions are pending, so nothing can build on it yet. */
  isPending(namespace: string, id: string): boolean {
    return this.#nodes.has(keyOf(namespace, id));
  }

  add(change: Change): void {
    for (const mail of change.mail ?? []) this.mail.add(mail);
    for (const node of change.nodes) this.#addNode(node);
  }

  #addNode({ before, after }: NodeChange): void {
    const node = after ?? before;
    if (node === undefined) return;
    this.#nodes.set(keyOf(node.namespace, node.id), after);
    if (after?.tombstone != null) this.#bury(after);
    if (before?.parent !== after?.parent) {
      if (before?.parent != null) this.#unlink(node.namespace, before.parent, node.id);
      if (after?.parent != null) this.#link(node.namespace, after.parent, node.id);
    }
    this.#heights.note(this, { before, after });
  }

  #bury({ namespace, id }: MembraneNode): void {
    const graves = this.#graves.get(namespace);
    if (graves === undefined) this.#graves.set(namespace, new Set([id]));
    else graves.add(id);
  }

  #isGraveOf(namespace: string, graveId: string, heir: string): boolean {
    const tombstone = this.node(namespace, graveId)?.tombstone;
    return tombstone != null && heirsIn(tombstone).has(heir);
  }

  #link(namespace: string, parent: string, childId: string): void {
    const delta = this.#deltaOf(namespace, parent);
    if (!delta.removed.delete(childId)) delta.added.add(childId);
  }

  #unlink(namespace: string, parent: string, childId: string): void {
    const delta = this.#deltaOf(namespace, parent);
    if (!delta.added.delete(childId)) delta.removed.add(childId);
  }

  #deltaOf(namespace: string, parent: string): { added: Set<string>; removed: Set<string> } {
    const key = keyOf(namespace, parent);
    let delta = this.#children.get(key);
    if (delta === undefined) {
      delta = { added: new Set(), removed: new Set() };
      this.#children.set(key, delta);
    }
    return delta;
  }
}
