import { LIMITS } from '@membrane/protocol';
import type { TreeView } from './state-view.js';

/**
 * The chain of parents that starts at `parent`, nearest first. It ends with the first one that has no node: where
 * that one stands is not known.
 */
export function ancestorsFrom(view: TreeView, namespace: string, parent: string | null): string[] {
  const ancestors: string[] = [];
  for (let id = parent; id !== null; id = view.node(namespace, id)?.parent ?? null) ancestors.push(id);
  return ancestors;
}

/** True where a chain of `maxDepth` levels or fewer cannot hold `id` and its descendants below `depthAbove` levels. */
export function isTooDeep(view: TreeView, namespace: string, id: string, depthAbove: number): boolean {
  let level = [id];
  let depth = depthAbove;
  while (level.length > 0) {
    depth += 1;
    if (depth > LIMITS.maxTreeDepth) return true;
    level = level.flatMap((parent) => [...view.childIds(namespace, parent)]);
  }
  return false;
}

/** Ids below `id`, itself not included, parents before children. */
export function descendantsOf(view: TreeView, namespace: string, id: string): string[] {
  const found: string[] = [];
  const open = [id];
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    for (const childId of view.childIds(namespace, parent)) {
      found.push(childId);
      open.push(childId);
    }
  }
  return found;
}
