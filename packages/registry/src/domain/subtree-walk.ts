import type { EventDraft } from './change.js';
import type { TreeView } from './state-view.js';
import { ancestorsOf, childrenOf } from './tree-walk.js';

/**
 * An event for every instance of the ids and of all that is below them, as far as they are below `subtree`, each
 * once. The view must not change meanwhile; the walk may take its time. Undefined is a step with nothing to tell.
 */
export function* arrivalsBelow(
  view: TreeView,
  namespace: string,
  subtree: string,
  ids: Iterable<string>,
): Generator<EventDraft | undefined, undefined> {
  const seen = new Set<string>();
  const open: string[] = [];
  for (const id of ids) {
    const node = view.node(namespace, id);
    if (node?.tombstone !== null) continue;
    if (id === subtree || ancestorsOf(view, node).includes(subtree)) open.push(id);
  }
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const node = view.node(namespace, id);
    if (node !== undefined && node.instances.length > 0) {
      const after = ancestorsOf(view, node);
      const parent = after[0] ?? null;
      for (const instance of node.instances) {
        const { instanceId } = instance;
        yield { event: 'moved', namespace, id, instanceId, parent, instance, after };
      }
    } else {
      // Nothing to tell of, but a step all the same.
      yield undefined;
    }
    for (const childId of childrenOf(view, namespace, id)) open.push(childId);
  }
  return undefined;
}
