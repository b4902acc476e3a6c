import type { Decision } from './change.js';
import { TOP } from './change-scopes.js';
import type { SubtreeLeases } from './count-entry.js';
import { REMOVED_AFTER_INTERVALS, type Keeping, type Lease } from './lease.js';
import type { Subtree } from './preserved-subtrees.js';
import type { TreeView } from './state-view.js';
import { ancestorsOf } from './tree-walk.js';

/**
 * Self-preservation: where most leases of a subtree are silent at once, it is more likely that the registry cannot be
 * heard from there than that all of them are dead, so none is ended for now. (The idea is that of Eureka, which knows
 * it for the registry as a whole.)
 */

/** In smaller subtrees chance decides whether half of them are silent. */
const MIN_LEASES = 20;

/** Who is kept is looked at again after one of its intervals, and has two more once nothing speaks for it. */
const CHECK_INTERVALS = 1;
const LAST_INTERVALS = 2;

/** True where the silence of so many of so many leases is taken for the fault of something that they share. */
export function isPreserving({ n, s }: Pick<SubtreeLeases, 'n' | 's'>): boolean {
  return n >= MIN_LEASES && 2 * s > n;
}

/** How a lease goes on that is due to end, or undefined where it ends. `isHeld`: some subtree around it preserves. */
export function decideKeeping(lease: Lease, isHeld: boolean, nowMs: number): Keeping | undefined {
  const { heartbeatIntervalMs: intervalMs } = lease.instance;
  const endMs = lease.renewedAtMs + REMOVED_AFTER_INTERVALS * intervalMs;
  if (nowMs >= endMs) return undefined;
  if (!isHeld && (lease.keeping === undefined || lease.keeping.isLast)) return undefined;
  const intervals = isHeld ? CHECK_INTERVALS : LAST_INTERVALS;
  return { untilMs: Math.min(nowMs + intervals * intervalMs, endMs), isLast: !isHeld };
}

/** Writes down that preservation of a subtree begins or ends. */
export function decidePreservation(
  view: TreeView,
  event: 'preservation_started' | 'preservation_ended',
  { namespace, id }: Subtree,
  { n, s }: SubtreeLeases,
  nowMs: number,
): Decision<undefined> {
  const ancestors = id === TOP ? [] : ancestorsAt(view, namespace, id);
  return {
    kind: 'changed',
    outcome: undefined,
    change: {
      atMs: nowMs,
      nodes: [],
      events: [
        {
          event,
          namespace,
          id,
          instanceId: 'default',
          parent: ancestors[0] ?? null,
          before: ancestors,
          after: ancestors,
          preservation: { n, s },
        },
      ],
      preservation: { namespace, id, sinceMs: event === 'preservation_started' ? nowMs : null },
    },
  };
}

/** Those of one that was dissolved meanwhile are its heir and the heir's. */
function ancestorsAt(view: TreeView, namespace: string, id: string): string[] {
  const node = view.node(namespace, id);
  const parent = node?.tombstone == null ? (node?.parent ?? null) : node.tombstone.heir;
  return ancestorsOf(view, { namespace, id, parent });
}
