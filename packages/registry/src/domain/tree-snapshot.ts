import type { MembraneDirectory } from './membrane-directory.js';
import type { MembraneNode } from './membrane-node.js';
import { childrenOf, parentOf } from './tree-walk.js';

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

/** A walk that pauses: who has it may do other things meanwhile, but must begin anew where somebody moved. */
export type TreeWalk = Generator<undefined, TreeEntry[]>;

type ChildrenOf = (id: string) => readonly MembraneNode[];

/** The tree of a membrane that is there, each one before those below it, siblings in the order of creation. */
export function walkSubtree(directory: MembraneDirectory, top: MembraneNode, maxDepth: number): TreeWalk {
  const { namespace } = top;
  const parent = parentOf(directory, top);
  const detached = parent !== null && !directory.isPresent(namespace, parent);
  return walk([{ node: top, parent, detached, level: 0 }], maxDepth, (id) => {
    const children: MembraneNode[] = [];
    for (const childId of childrenOf(directory, namespace, id)) {
      const child = directory.node(namespace, childId);
      if (child !== undefined && child.instances.length > 0) children.push(child);
    }
    return children.sort((one, other) => one.createdRevision - other.createdRevision);
  });
}

/** Every tree of a namespace, one after the other. Whoever's parent is not there stands at the top. */
export function* walkForest(directory: MembraneDirectory, namespace: string, maxDepth: number): TreeWalk {
  const tops: TreeEntry[] = [];
  const children = new Map<string, MembraneNode[]>();
  let looked = 0;
  for (const id of directory.idsFrom(namespace, 0)) {
    looked += 1;
    if (looked % SLICE_NODES === 0) yield undefined;
    const node = directory.node(namespace, id);
    if (node === undefined || node.instances.length === 0) continue;
    const parent = parentOf(directory, node);
    if (parent === null || !directory.isPresent(namespace, parent)) {
      tops.push({ node, parent, detached: parent !== null, level: 0 });
      continue;
    }
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [node]);
    else siblings.push(node);
  }
  return yield* walk(tops, maxDepth, (id) => children.get(id) ?? []);
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
    const children = childrenOfId(parent);
    for (let index = children.length - 1; index >= 0; index -= 1) {
      const node = children[index];
      if (node !== undefined) open.push({ node, parent, detached: false, level: entry.level + 1 });
    }
  }
  return found;
}
