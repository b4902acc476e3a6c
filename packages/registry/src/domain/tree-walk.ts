import { LIMITS } from '@membrane/protocol';
import type { MembraneNode } from './membrane-node.js';
import type { StateView, TreeView } from './state-view.js';
import { heirOf } from './tombstone.js';

/** A place in the tree: whose, and the parent that it names, which may have been dissolved since. */
type Place = Pick<MembraneNode, 'namespace' | 'id' | 'parent'>;

/** The parent that a place has: the one it names, or the heir of that one. */
export function parentOf(view: TreeView, { namespace, id, parent }: Place): string | null {
  for (let name = parent; name !== null;) {
    const tombstone = view.node(namespace, name)?.tombstone;
    if (tombstone == null) return name;
    name = heirOf(tombstone, id);
  }
  return null;
}

/** The membrane that somebody means who names `name` only now: that one, or the heir of what it did not give away. */
export function meantBy(view: TreeView, namespace: string, name: string | null): string | null {
  for (let meant = name; meant !== null;) {
    const tombstone = view.node(namespace, meant)?.tombstone;
    if (tombstone == null) return meant;
    meant = tombstone.heir;
  }
  return null;
}

/**
 * The parents above a place, nearest first. They end with the first one that has no node: where that one stands is
 * not known.
 */
export function ancestorsOf(view: TreeView, { namespace, id, parent }: Place): string[] {
  const ancestors: string[] = [];
  let child = id;
  for (let name = parent; name !== null;) {
    const node = view.node(namespace, name);
    if (node?.tombstone == null) {
      ancestors.push(name);
      child = name;
      name = node?.parent ?? null;
    } else {
      name = heirOf(node.tombstone, child);
    }
  }
  return ancestors;
}

/** Ids of those whose parent is `id`, which must not be dissolved itself. */
export function childrenOf(view: TreeView, namespace: string, id: string): Iterable<string> {
  const own = view.childIds(namespace, id);
  const inherited = findInherited(view, namespace, id);
  return inherited === undefined ? own : [...own, ...inherited];
}

/** Children that still name somebody else, whose heir `id` is; undefined where it is nobody's. */
function findInherited(view: TreeView, namespace: string, id: string): Set<string> | undefined {
  let candidates: Set<string> | undefined;
  /** Ids that name `id`: as the heir of all children, or of some. */
  const open = [id];
  for (let heir = open.pop(); heir !== undefined; heir = open.pop()) {
    for (const graveId of view.graveIds(namespace, heir)) {
      candidates ??= new Set();
      const tombstone = view.node(namespace, graveId)?.tombstone;
      for (const [childId, name] of tombstone?.heirs ?? []) if (name === heir) candidates.add(childId);
      if (tombstone?.heir !== heir) continue;
      for (const childId of view.childIds(namespace, graveId)) candidates.add(childId);
      open.push(graveId);
    }
  }
  for (const childId of candidates ?? []) {
    const child = view.node(namespace, childId);
    const isInherited = child != null && child.parent !== id && parentOf(view, child) === id;
    if (!isInherited) candidates?.delete(childId);
  }
  return candidates;
}

/** True where a tree of `maxTreeDepth` levels cannot hold `id` and its descendants below `depthAbove` levels. */
export function isTooDeep(view: StateView, namespace: string, id: string, depthAbove: number): boolean {
  const open = [{ id, depthAbove }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (place.depthAbove >= LIMITS.maxTreeDepth) return true;
    // What has room by what is known of its height need not be walked.
    if (place.depthAbove + view.heightOf(namespace, place.id) <= LIMITS.maxTreeDepth) continue;
    for (const childId of childrenOf(view, namespace, place.id)) {
      open.push({ id: childId, depthAbove: place.depthAbove + 1 });
    }
  }
  return false;
}

/** True where an id has a live instance: children of one that has none are detached. */
export function isPresent(view: TreeView, namespace: string, id: string): boolean {
  return (view.node(namespace, id)?.instances.length ?? 0) > 0;
}

/**
 * Ids below `id`, itself not included, parents before children; at most `maxDepth` levels of them. It stops where it
 * has found more than `limit`.
 */
export function descendantsOf(
  view: TreeView,
  namespace: string,
  id: string,
  maxDepth = Number.POSITIVE_INFINITY,
  limit = Number.POSITIVE_INFINITY,
): string[] {
  const found: string[] = [];
  let level = [id];
  for (let depth = 0; depth < maxDepth && level.length > 0; depth += 1) {
    const next: string[] = [];
    for (const parent of level) {
      for (const childId of childrenOf(view, namespace, parent)) {
        found.push(childId);
        if (found.length > limit) return found;
        next.push(childId);
      }
    }
    level = next;
  }
  return found;
}
