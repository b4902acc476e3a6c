import type { JsonObject, JsonValue } from '@membrane/protocol';
import type { z } from 'zod';
import type { Change, EventDraft } from '../domain/change.js';
import {
  findEnded,
  findInstance,
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
  INLINE_INSTANCE_ID,
  INSTANCE_PREFIX,
  NODE_PREFIX,
  PRESERVATION_PREFIX,
  USUAL_WEIGHT,
  type describedSchema,
  type endedRowSchema,
  type fenceSchema,
  type journalRowSchema,
  type nodeRowSchema,
} from './state-rows.js';

const nodeKey = ({ namespace, id }: MembraneNode): string => `${NODE_PREFIX}${namespace}/${id}`;
const instanceKey = (node: MembraneNode, instanceId: string): string =>
  `${INSTANCE_PREFIX}${node.namespace}/${node.id}/${instanceId}`;

const preservationKey = ({ namespace, id }: PreservationChange): string =>
  `${PRESERVATION_PREFIX}${namespace}/${id}`;

type Fence = z.input<typeof fenceSchema>;
type Put = ChangeSet['puts'][number];

type Described = z.input<typeof describedSchema>;

function describeInstance(instance: Instance): Described {
  const { endpoint, communicationMode, heartbeatIntervalMs, status, registeredAtMs } = instance;
  const row: Described = { endpoint, communicationMode, heartbeatIntervalMs, status, registeredAtMs };
  // What has its usual value is left out.
  if (instance.endpoints !== null) row.endpoints = instance.endpoints as Endpoint[];
  if (instance.healthCheckUrl !== null) row.healthCheckUrl = instance.healthCheckUrl;
  if (!isEmpty(instance.metadata)) row.metadata = instance.metadata;
  if (instance.weight !== USUAL_WEIGHT) row.weight = instance.weight;
  if (instance.relay) row.relay = true;
  if (instance.incarnation !== PENDING_REVISION) row.incarnation = instance.incarnation;
  if (instance.drain !== null) row.drain = { ...instance.drain };
  if (instance.failingCheck !== null) {
    row.failingCheck = { ...instance.failingCheck };
    row.silent = instance.silent;
  }
  return row;
}

function describeFence({ tokenHash, attempt, replacedTokenHashes }: Instance | EndedInstance): Fence {
  const fence: Fence = {};
  if (tokenHash !== null) fence.tokenHash = tokenHash;
  if (attempt !== 0) fence.attempt = attempt;
  if (replacedTokenHashes.length > 0) fence.replacedTokenHashes = [...replacedTokenHashes];
  return fence;
}

const describeLive = (instance: Instance): Described & Fence => ({
  ...describeInstance(instance),
  ...describeFence(instance),
});

const describeEnded = (ended: EndedInstance): z.input<typeof endedRowSchema> => ({
  ended: ended.reason,
  endedAtMs: ended.endedAtMs,
  ...describeFence(ended),
  ...(ended.drain === null ? {} : { drain: { ...ended.drain } }),
});

function isEmpty(metadata: JsonObject): boolean {
  for (const _ in metadata) return false;
  return true;
}

/** The rows that a change writes and deletes. */
export function encodeChange({ atMs, nodes, events, mail, preservation }: Change): ChangeSet {
  const puts: Put[] = [];
  const deletes: string[] = [];
  for (const { before, after } of nodes) {
    if (after !== undefined) putNode(before, after, puts);
    if (before !== undefined) deleteRows(before, after, deletes);
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

/** The row of the node, with its inline instance, and those of its other instances: what has changed of them. */
function putNode(before: MembraneNode | undefined, after: MembraneNode, puts: Put[]): void {
  let isChanged = after.revision === PENDING_REVISION || hasInline(before) !== hasInline(after);
  for (const instance of after.instances) {
    if (instance.revision !== PENDING_REVISION) continue;
    if (instance.instanceId === INLINE_INSTANCE_ID) isChanged = true;
    else
      puts.push({ key: instanceKey(after, instance.instanceId), value: describeLive(instance) as JsonValue });
  }
  for (const ended of after.ended) {
    if (ended.revision !== PENDING_REVISION) continue;
    if (ended.instanceId === INLINE_INSTANCE_ID) isChanged = true;
    else puts.push({ key: instanceKey(after, ended.instanceId), value: describeEnded(ended) as JsonValue });
  }
  if (isChanged) puts.push({ key: nodeKey(after), value: encodeNode(after) as JsonValue });
}

function deleteRows(before: MembraneNode, after: MembraneNode | undefined, deletes: string[]): void {
  const had = [...before.instances, ...before.ended].filter(
    ({ instanceId }) => instanceId !== INLINE_INSTANCE_ID,
  );
  if (had.length > 0) {
    const left = new Set(
      [...(after?.instances ?? []), ...(after?.ended ?? [])].map(({ instanceId }) => instanceId),
    );
    for (const { instanceId } of had)
      if (!left.has(instanceId)) deletes.push(instanceKey(before, instanceId));
  }
  // The second was written by format 1, and says nothing as long as the first is there.
  if (after === undefined) deletes.push(nodeKey(before), instanceKey(before, INLINE_INSTANCE_ID));
}

function hasInline(node: MembraneNode | undefined): boolean {
  return (
    findInstance(node, INLINE_INSTANCE_ID) !== undefined || findEnded(node, INLINE_INSTANCE_ID) !== undefined
  );
}

function encodeNode(node: MembraneNode): z.input<typeof nodeRowSchema> {
  const { parent, requestedParent, createdRevision, revision, vacantSinceMs, tombstone } = node;
  const live = findInstance(node, INLINE_INSTANCE_ID);
  const ended = findEnded(node, INLINE_INSTANCE_ID);
  const row: z.input<typeof nodeRowSchema> = {
    live: live === undefined ? null : { ...describeLive(live), ...describeRevision(live) },
  };
  if (parent !== null) row.parent = parent;
  if (requestedParent !== parent) row.requestedParent = requestedParent;
  if (createdRevision !== PENDING_REVISION) row.createdRevision = createdRevision;
  if (revision !== PENDING_REVISION) row.revision = revision;
  if (vacantSinceMs !== null) row.vacantSinceMs = vacantSinceMs;
  if (tombstone !== null) row.tombstone = { ...tombstone, heirs: Object.fromEntries(tombstone.heirs) };
  if (ended !== undefined) row.ended = { ...describeEnded(ended), ...describeRevision(ended) };
  return row;
}

const describeRevision = ({ revision }: Instance | EndedInstance): { revision?: number } =>
  revision === PENDING_REVISION ? {} : { revision };

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
