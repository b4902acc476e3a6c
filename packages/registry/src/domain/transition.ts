import type { Decision } from './change.js';
import { endInstance, findInstance, PENDING_REVISION, statusOf, type MembraneNode } from './membrane-node.js';
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

  const ancestors = ancestorsOf(view, node);
  const draft = { event, namespace, id, instanceId, parent: ancestors[0] ?? null, before: ancestors };
  if (event === 'expired') {
    const after = endInstance(node, live, 'expired', nowMs);
    return {
      kind: 'changed',
      outcome: undefined,
      change: { atMs: nowMs, nodes: [{ before: node, after }], events: [draft] },
    };
  }
  const status = event === 'unhealthy' ? 'unhealthy' : statusOf(live);
  if (live.status === status) return { kind: 'unchanged', outcome: undefined };
  const instance = { ...live, status, revision: PENDING_REVISION } as const;
  const after: MembraneNode = {
    ...node,
    instances: node.instances.map((other) => (other === live ? instance : other)),
  };
  return {
    kind: 'changed',
    outcome: undefined,
    change: {
      atMs: nowMs,
      nodes: [{ before: node, after }],
      events: [{ ...draft, instance, after: ancestors }],
    },
  };
}
