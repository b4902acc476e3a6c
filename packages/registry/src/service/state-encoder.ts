import type { JsonValue } from '@membrane/protocol';
import type { z } from 'zod';
import type { Change, EventDraft } from '../domain/change.js';
import {
  PENDING_REVISION,
  type EndedInstance,
  type Endpoint,
  type Instance,
  type MembraneNode,
} from '../domain/membrane-node.js';
import type { PreservationChange } from '../domain/preserved-subtrees.js';
import type { ChangeSet } from '../store/membrane-store.js';
import { encodeMail } from './mail-encoder.js';
import {
  INSTANCE_PREFIX,
  NODE_PREFIX,
  PRESERVATION_PREFIX,
  type describedSchema,
  type fenceSchema,
  type journalRowSchema,
} from './state-rows.js';

const nodeKey = ({ namespace, id }: MembraneNode): string => `${NODE_PREFIX}${namespace}/${id}`;
const instanceKey = (node: MembraneNode, instanceId: string): string =>
  `${INSTANCE_PREFIX}${node.namespace}/${node.id}/${instanceId}`;

const preservationKey = ({ namespace, id }: PreservationChange): string =>
  `${PRESERVATION_PREFIX}${namespace}/${id}`;

const revisionOrNull = (revision: number): number | null => (revision === PENDING_REVISION ? null : revision);

function describeInstance(instance: Instance): z.input<typeof describedSchema> {
  const { endpoint, communicationMode, healthCheckUrl, metadata, weight, relay } = instance;
  return {
    endpoint,
    communicationMode,
    endpoints: instance.endpoints as Endpoint[] | null,
    healthCheckUrl,
    metadata,
    weight,
    relay,
    heartbeatIntervalMs: instance.heartbeatIntervalMs,
    status: instance.status,
    registeredAtMs: instance.registeredAtMs,
    incarnation: revisionOrNull(instance.incarnation),
    ...(instance.drain === null ? {} : { drain: { ...instance.drain } }),
    ...(instance.failingCheck === null
      ? {}
      : { failingCheck: { ...instance.failingCheck }, silent: instance.silent }),
  };
}

function describeFence(fence: Instance | EndedInstance): z.input<typeof fenceSchema> {
  const { tokenHash, attempt, replacedTokenHashes } = fence;
  return { tokenHash, attempt, replacedTokenHashes: [...replacedTokenHashes] };
}

/** The rows that a change writes and deletes. */
export function encodeChange({ atMs, nodes, events, mail, preservation }: Change): ChangeSet {
  const puts: { key: string; value: JsonValue }[] = [];
  const deletes: string[] = [];
  for (const { before, after } of nodes) {
    if (after?.revision === PENDING_REVISION) puts.push({ key: nodeKey(after), value: encodeNode(after) });
    for (const instance of after?.instances ?? []) {
      if (after === undefined || instance.revision !== PENDING_REVISION) continue;
      puts.push({
        key: instanceKey(after, instance.instanceId),
        value: { ...describeInstance(instance), ...describeFence(instance) } as JsonValue,
      });
    }
    for (const ended of after?.ended ?? []) {
      if (after === undefined || ended.revision !== PENDING_REVISION) continue;
      puts.push({
        key: instanceKey(after, ended.instanceId),
        value: {
          ended: ended.reason,
          endedAtMs: ended.endedAtMs,
          ...describeFence(ended),
          ...(ended.drain === null ? {} : { drain: { ...ended.drain } }),
        },
      });
    }
    if (before === undefined) continue;
    const kept = new Set(
      [...(after?.instances ?? []), ...(after?.ended ?? [])].map(({ instanceId }) => instanceId),
    );
    for (const { instanceId } of [...before.instances, ...before.ended]) {
      if (!kept.has(instanceId)) deletes.push(instanceKey(before, instanceId));
    }
    if (after === undefined) deletes.push(nodeKey(before));
  }
  for (const change of mail ?? []) {
    const rows = encodeMail(change);
    puts.push(...rows.puts);
    deletes.push(...rows.deletes);
  }
  if (preservation !== undefined) {
    const { namespace, id, sinceMs } = preservation;
    const key = preservationKey(preservation);
    if (sinceMs === null) deletes.push(key);
    else puts.push({ key, value: { namespace, id, sinceMs } });
  }
  return events.length === 0
    ? { puts, deletes }
    : { puts, deletes, journal: { atMs, events: events.map(encodeEvent) } as unknown as JsonValue };
}

function encodeNode(node: MembraneNode): JsonValue {
  const { parent, requestedParent, createdRevision, vacantSinceMs, tombstone } = node;
  return {
    parent,
    requestedParent,
    createdRevision: revisionOrNull(createdRevision),
    vacantSinceMs,
    ...(tombstone === null
      ? {}
      : { tombstone: { ...tombstone, heirs: Object.fromEntries(tombstone.heirs) } as JsonValue }),
  };
}

function encodeEvent(event: EventDraft): z.input<typeof journalRowSchema>['events'][number] {
  const { before, after, instance, heirs, ...rest } = event;
  return {
    ...rest,
    ...(instance === undefined ? {} : { instance: describeInstance(instance) }),
    ...(before === undefined ? {} : { before: [...before] }),
    ...(after === undefined ? {} : { after: [...after] }),
    ...(heirs === undefined ? {} : { heirs: Object.fromEntries(heirs) }),
  };
}
