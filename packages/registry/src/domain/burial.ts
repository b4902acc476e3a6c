import type { Change, EventDraft } from './change.js';
import { endInstance, findPrimary, PENDING_REVISION, type MembraneNode } from './membrane-node.js';
import type { TreeView } from './state-view.js';
import type { Tombstone } from './tombstone.js';
import { ancestorsOf } from './tree-walk.js';

/**
 * Ends a membrane and leaves a tombstone in its place. Its instances are removed by decision. The last event is that
 * of the membrane, with its primary instance; others that it has end before.
 */
export function bury(view: TreeView, node: MembraneNode, tombstone: Tombstone, nowMs: number): Change {
  const { namespace, id } = node;
  const ancestors = ancestorsOf(view, node);
  const primary = findPrimary(node);
  const vacated = node.instances.reduce(
    (rest, instance) => endInstance(rest, instance, 'removed', nowMs),
    node,
  );
  const parent = ancestors[0] ?? null;
  const events: EventDraft[] = node.instances
    .filter((instance) => instance !== primary)
    .map(({ instanceId }) => ({
      event: 'deregistered',
      namespace,
      id,
      instanceId,
      parent,
      before: ancestors,
    }));
  events.push({
    event: 'dissolved',
    namespace,
    id,
    instanceId: primary?.instanceId ?? 'default',
    parent,
    before: ancestors,
    after: ancestors,
    heir: tombstone.heir,
    ...(tombstone.heirs.size === 0 ? {} : { heirs: tombstone.heirs }),
  });
  const after = { ...vacated, parent: null, tombstone, vacantSinceMs: nowMs, revision: PENDING_REVISION };
  return { atMs: nowMs, nodes: [{ before: node, after }], events };
}
