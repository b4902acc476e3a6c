import type { MembraneDirectory } from './membrane-directory.js';
import type { MembraneNode } from './membrane-node.js';
import type { TreeView } from './state-view.js';
import { childrenOf, isPresent, parentOf } from './tree-walk.js';

/** A membrane in its place, as they were at one moment. */
export interface TreeEntry {
  readonly node: MembraneNode;
  readonly parent: string | null;
  readonly detached: boolean;
  /** Levels below the top of its tree. */
  readonly level: number;
}

/** Membranes looked at between two pauses. */
const SLICE_NODES = 2_000;

/** A walk that pauses: who has it may do other things meanwhile, where the view stays as it is. */
export type TreeWalk = Generator<undefined, TreeEntry[]>;

type ChildrenOf = (id: string) => Generator<undefined, readonly MembraneNode[]>;

/** The tree of a membrane that is there, each one before those below it, siblings in the order of creation. */
export function walkSubtree(view: TreeView, top: MembraneNode, maxDepth: number): TreeWalk {
  const { namespace } = top;
  const parent = parentOf(view, top);
  const detached = parent !== null && !isPresent(view, namespace, parent);
  return walk([{ node: top, parent, detached, level: 0 }], maxDepth, function* (id) {
    // One that changes in a pause may come twice: as it stands there, and as what is remembered.
    const children = new Map<string, MembraneNode>();
    let looked = 0;
    for (const childId of childrenOf(view, namespace, id)) {
      looked += 1;
      if (looked % SLICE_NODES === 0) yield undefined;
      const child = view.node(namespace, childId);
      if (child !== undefined && child.instances.length > 0) children.set(childId, child);
    }
    return yield* sortByCreation([...children.values()]);
  });
}

/** In the order of creation, which is spread evenly enough over the revisions for parts of about a slice. */
function* sortByCreation(nodes: readonly MembraneNode[]): Generator<undefined, readonly MembraneNode[]> {
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for (const { createdRevision } of nodes) {
    first = Math.min(first, createdRevision);
    last = Math.max(last, createdRevision);
  }
  const parts: MembraneNode[][] = Array.from({ length: Math.ceil(nodes.length / SLICE_NODES) }, () => []);
  const revisionsOfPart = (last - first + 1) / parts.length;
  for (const node of nodes) parts[Math.floor((node.createdRevision - first) / revisionsOfPart)]?.push(node);
  const sorted: MembraneNode[] = [];
  for (const part of parts) {
    for (const node of part.sort((one, other) => one.createdRevision - other.createdRevision))
      sorted.push(node);
    if (parts.length > 1) yield undefined;
  }
  return sorted;
}

/** Every tree of a namespace, one after the other. Whoever's parent is not there stands at the top. */
export function* walkForest(
  view: TreeView,
  order: Pick<MembraneDirectory, 'idsFrom'>,
  namespace: string,
  maxDepth: number,
): TreeWalk {
  const tops: TreeEntry[] = [];
  const children = new Map<string, MembraneNode[]>();
  let next: number | undefined = 0;
  while (next !== undefined) {
    let looked = 0;
    const from: number = next;
    next = undefined;
    // From pause to pause, since the order goes on changing: those that were there stay in it.
    for (const id of order.idsFrom(namespace, from)) {
      const node = view.node(namespace, id);
      if (node === undefined) continue;
      if (looked === SLICE_NODES) {
        next = node.createdRevision;
        break;
      }
      looked += 1;
      if (node.instances.length === 0) continue;
      const parent = parentOf(view, node);
      if (parent === null || !isPresent(view, namespace, parent)) {
        tops.push({ node, parent, detached: parent !== null, level: 0 });
        continue;
      }
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [node]);
      else siblings.push(node);
    }
    if (next !== undefined) yield undefined;
  }
  // eslint-disable-next-line require-yield -- these are at hand already
  return yield* walk(tops, maxDepth, function* (id) {
    return children.get(id) ?? [];
  });
}

/** Depth first, without recursion. */
function* walk(tops: readonly TreeEntry[], maxDepth: number, childrenOfId: ChildrenOf): TreeWalk {
  const found: TreeEntry[] = [];
  const open = [...tops].reverse();
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    found.push(entry);
    if (found.length % SLICE_NODES === 0) yield undefined;
    if (entry.level === maxDepth) continue;
    const { id: parent } = entry.node;
    const children = yield* childrenOfId(parent);
    for (let index = children.length - 1; index >= 0; index -= 1) {
      const node = children[index];
      if (node !== undefined) open.push({ node, parent, detached: false, level: entry.level + 1 });
    }
  }
  return found;
}
