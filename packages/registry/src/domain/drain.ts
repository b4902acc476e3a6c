import { MembraneError } from '@membrane/protocol';
import type { Decision, EventDraft } from './change.js';
import { findInstance, PENDING_REVISION, statusOf, type Drain, type Instance } from './membrane-node.js';
import type { StateView } from './state-view.js';
import { absentError } from './tombstone.js';
import { ancestorsOf } from './tree-walk.js';

export interface DrainCommand {
  readonly namespace: string;
  readonly id: string;
  /** Undefined: every instance of the id. */
  readonly instanceId: string | undefined;
  readonly enabled: boolean;
  readonly reason: string | null;
}

/** How many instances an error names. */
const MAX_NAMED_INSTANCES = 8;

/** Takes instances out of use or back into it. Those that stand already as they should are left as they are. */
export function decideDrain(view: StateView, command: DrainCommand, nowMs: number): Decision<undefined> {
  const { namespace, id, instanceId, enabled, reason } = command;
  const node = view.node(namespace, id);
  if (node === undefined || node.instances.length === 0) {
    return { kind: 'refused', error: absentError(node, namespace, id) };
  }
  if (instanceId !== undefined && findInstance(node, instanceId) === undefined) {
    const ids = node.instances.slice(0, MAX_NAMED_INSTANCES).map((instance) => `"${instance.instanceId}"`);
    const message = `must be a live instance of "${id}", such as ${ids.join(', ')}; got "${instanceId}"`;
    return {
      kind: 'refused',
      error: new MembraneError('not_found', `instance_id ${message}`, {
        details: { errors: [{ path: 'instance_id', message }] },
      }),
    };
  }
  const ancestors = ancestorsOf(view, node);
  const events: EventDraft[] = [];
  const instances = node.instances.map((live) => {
    if (instanceId !== undefined && live.instanceId !== instanceId) return live;
    const drain = enabled ? drainFrom(live, reason, nowMs) : null;
    if (drain === live.drain) return live;
    const status = statusOf({ ...live, drain });
    const instance: Instance = { ...live, drain, status, revision: PENDING_REVISION };
    events.push({
      event: enabled ? 'draining' : 'updated',
      namespace,
      id,
      instanceId: live.instanceId,
      parent: ancestors[0] ?? null,
      instance,
      before: ancestors,
      after: ancestors,
    });
    return instance;
  });
  if (events.length === 0) return { kind: 'unchanged', outcome: undefined };
  return {
    kind: 'changed',
    outcome: undefined,
    change: { atMs: nowMs, nodes: [{ before: node, after: { ...node, instances } }], events },
  };
}

/** Another reason is told; the drain goes on from when it began. */
function drainFrom({ drain }: Instance, reason: string | null, nowMs: number): Drain {
  if (drain === null) return { reason, sinceMs: nowMs };
  return drain.reason === reason ? drain : { ...drain, reason };
}
