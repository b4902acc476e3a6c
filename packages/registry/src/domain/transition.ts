import type { Decision } from './change.js';
import { changeHealth } from './health.js';
import { endInstance, findInstance, isSilent } from './membrane-node.js';
import type { StateView } from './state-view.js';
import { ancestorsOf } from './tree-walk.js';

/** What silence, or the end of it, does to a lease. */
export interface TransitionCommand {
  readonly event: 'unhealthy' | 'recovered' | 'expired';
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
  readonly incarnation: number;
}

/** Unchanged where the instance is gone, was replaced, or stands already as the transition would leave it. */
export function decideTransition(
  view: StateView,
  command: TransitionCommand,
  nowMs: number,
): Decision<undefined> {
  const { event, namespace, id, instanceId } = command;
  const node = view.node(namespace, id);
  const live = findInstance(node, instanceId);
  if (node === undefined || live?.incarnation !== command.incarnation)
    return { kind: 'unchanged', outcome: undefined };

  if (event === 'expired') {
    const ancestors = ancestorsOf(view, node);
    const after = endInstance(node, live, 'expired', nowMs);
    const draft = { event, namespace, id, instanceId, parent: ancestors[0] ?? null, before: ancestors };
    return {
      kind: 'changed',
      outcome: undefined,
      change: { atMs: nowMs, nodes: [{ before: node, after }], events: [draft] },
    };
  }
  const silent = event === 'unhealthy';
  if (isSilent(live) === silent) return { kind: 'unchanged', outcome: undefined };
  return changeHealth(view, node, live, { silent }, nowMs);
}
