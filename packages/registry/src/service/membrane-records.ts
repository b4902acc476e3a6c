import type { MembraneRecord } from '@membrane/protocol';
import type { Instance, MembraneNode } from '../domain/membrane-node.js';
import { toRecord } from '../domain/membrane-query.js';
import { parentOf } from '../domain/tree-walk.js';
import type { RegistryState } from './registry-state.js';

/** What the wire tells of an instance, as it is now. */
export function recordOf(state: RegistryState, node: MembraneNode, instance: Instance): MembraneRecord {
  const { namespace } = node;
  const { directory } = state;
  const named = node.parent === null ? undefined : directory.node(namespace, node.parent);
  if (named?.tombstone == null) {
    const detached = node.parent !== null && (named?.instances.length ?? 0) === 0;
    return recordAt(state, node, instance, node.parent, detached);
  }
  const parent = parentOf(directory, node);
  return recordAt(state, node, instance, parent, parent !== null && !directory.isPresent(namespace, parent));
}

/** The same for a place that was looked up before. */
export function recordAt(
  state: RegistryState,
  node: MembraneNode,
  instance: Instance,
  parent: string | null,
  detached: boolean,
): MembraneRecord {
  const { namespace, id } = node;
  const lease = state.leases.get(namespace, id, instance.instanceId);
  const place = parent === node.parent ? node : { namespace, id, parent };
  return toRecord(place, instance, detached, state.toWallMs(lease?.renewedAtMs ?? 0));
}
