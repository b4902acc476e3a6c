import type { Decision } from './change.js';
import {
  findInstance,
  PENDING_REVISION,
  statusOf,
  type Instance,
  type MembraneNode,
} from './membrane-node.js';
import type { StateView } from './state-view.js';
import { ancestorsOf } from './tree-walk.js';

/** What the checks of one address say of a registration: null where there is nothing to say against it. */
export interface HealthCheckCommand {
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
  readonly incarnation: number;
  /** What was asked: another one meanwhile makes it void. */
  readonly url: string;
  readonly failure: string | null;
}

/** Unchanged where the instance is gone, was replaced, has another address now, or is known to fail (or not) already. */
export function decideHealthCheck(
  view: StateView,
  command: HealthCheckCommand,
  nowMs: number,
): Decision<undefined> {
  const { namespace, id, instanceId, incarnation, url, failure } = command;
  const node = view.node(namespace, id);
  const live = findInstance(node, instanceId);
  if (
    node === undefined ||
    live?.incarnation !== incarnation ||
    live.healthCheckUrl !== url ||
    (live.failingCheck === null) === (failure === null)
  ) {
    return { kind: 'unchanged', outcome: undefined };
  }
  const failingCheck = failure === null ? null : { reason: failure, sinceMs: nowMs };
  return changeHealth(view, node, live, { failingCheck }, nowMs);
}

/**
 * Another state of what the status rests on. `unhealthy` and `recovered` alternate: where one cause comes or goes
 * beside another, the status stays and the event is `updated`.
 */
export function changeHealth(
  view: StateView,
  node: MembraneNode,
  live: Instance,
  health: Partial<Pick<Instance, 'silent' | 'failingCheck'>>,
  nowMs: number,
): Decision<undefined> {
  const { namespace, id } = node;
  const changed = { ...live, ...health, revision: PENDING_REVISION };
  const instance: Instance = { ...changed, status: statusOf(changed) };
  const wasUnhealthy = live.status === 'unhealthy';
  const isUnhealthy = instance.status === 'unhealthy';
  const ancestors = ancestorsOf(view, node);
  return {
    kind: 'changed',
    outcome: undefined,
    change: {
      atMs: nowMs,
      nodes: [
        {
          before: node,
          after: {
            ...node,
            instances: node.instances.map((other) => (other === live ? instance : other)),
          },
        },
      ],
      events: [
        {
          event: wasUnhealthy === isUnhealthy ? 'updated' : isUnhealthy ? 'unhealthy' : 'recovered',
          namespace,
          id,
          instanceId: live.instanceId,
          parent: ancestors[0] ?? null,
          instance,
          before: ancestors,
          after: ancestors,
        },
      ],
    },
  };
}
