import {
  communicationModeSchema,
  endpointSchema,
  eventTypeSchema,
  instanceIdSchema,
  membraneIdSchema,
  membraneStatusSchema,
  metadataSchema,
  namespaceSchema,
  type JsonValue,
} from '@membrane/protocol';
import { z } from 'zod';
import type { Change, EventDraft } from '../domain/change.js';
import type { LoggedChange } from '../domain/event-log.js';
import {
  NONE_ENDED,
  PENDING_REVISION,
  type EndedInstance,
  type Endpoint,
  type Instance,
  type MembraneNode,
} from '../domain/membrane-node.js';
import { OperatorError } from '../operator-error.js';
import { type ChangeSet, type StoredEntry } from '../store/membrane-store.js';

/** How nodes, instances and the journal stand in a store. A row that a change has not touched is not written. */

const NODE_PREFIX = 'node/';
const INSTANCE_PREFIX = 'instance/';

const nodeKey = ({ namespace, id }: MembraneNode): string => `${NODE_PREFIX}${namespace}/${id}`;
const instanceKey = (node: MembraneNode, instanceId: string): string =>
  `${INSTANCE_PREFIX}${node.namespace}/${node.id}/${instanceId}`;

const nodeRowSchema = z.object({
  parent: membraneIdSchema.nullable(),
  requestedParent: membraneIdSchema.nullable(),
  /** Null: the revision of the row. */
  createdRevision: z.int().min(1).nullable(),
  vacantSinceMs: z.number().nullable(),
});

const describedSchema = z.object({
  endpoint: z.string(),
  communicationMode: communicationModeSchema,
  /** Null: the primary one alone. */
  endpoints: z.array(endpointSchema).nullable(),
  healthCheckUrl: z.string().nullable(),
  metadata: metadataSchema,
  weight: z.number(),
  relay: z.boolean(),
  heartbeatIntervalMs: z.int().positive(),
  status: membraneStatusSchema,
  registeredAtMs: z.number(),
  /** Null: the revision of the row. */
  incarnation: z.int().min(1).nullable(),
});

const fenceSchema = z.object({
  tokenHash: z.string().nullable(),
  attempt: z.int().min(0),
  replacedTokenHashes: z.array(z.string()),
});

const liveRowSchema = describedSchema.extend(fenceSchema.shape);
const endedRowSchema = fenceSchema.extend({
  ended: z.enum(['departed', 'removed', 'expired']),
  endedAtMs: z.number(),
});

const journalRowSchema = z.object({
  atMs: z.number(),
  events: z.array(
    z.object({
      event: eventTypeSchema,
      namespace: namespaceSchema,
      id: membraneIdSchema,
      instanceId: instanceIdSchema,
      parent: membraneIdSchema.nullable(),
      instance: describedSchema.optional(),
      before: z.array(membraneIdSchema).optional(),
      after: z.array(membraneIdSchema).optional(),
    }),
  ),
});

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
  };
}

function describeFence(fence: Instance | EndedInstance): z.input<typeof fenceSchema> {
  const { tokenHash, attempt, replacedTokenHashes } = fence;
  return { tokenHash, attempt, replacedTokenHashes: [...replacedTokenHashes] };
}

/** The rows that a change writes and deletes. */
export function encodeChange({ atMs, nodes, events }: Change): ChangeSet {
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
        value: { ended: ended.reason, endedAtMs: ended.endedAtMs, ...describeFence(ended) },
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
  return events.length === 0
    ? { puts, deletes }
    : { puts, deletes, journal: { atMs, events: events.map(encodeEvent) } as unknown as JsonValue };
}

function encodeNode(node: MembraneNode): JsonValue {
  const { parent, requestedParent, createdRevision, vacantSinceMs } = node;
  return { parent, requestedParent, createdRevision: revisionOrNull(createdRevision), vacantSinceMs };
}

function encodeEvent(event: EventDraft): z.input<typeof journalRowSchema>['events'][number] {
  const { before, after, instance, ...rest } = event;
  return {
    ...rest,
    ...(instance === undefined ? {} : { instance: describeInstance(instance) }),
    ...(before === undefined ? {} : { before: [...before] }),
    ...(after === undefined ? {} : { after: [...after] }),
  };
}

/** Puts rows together again, in whatever order they come. */
export class StateDecoder {
  readonly #location: string;
  readonly #nodes = new Map<string, MembraneNode>();
  readonly #instances = new Map<string, Instance[]>();
  readonly #ended = new Map<string, EndedInstance[]>();
  readonly #journal: LoggedChange[] = [];

  /** `location` is what errors call the store. */
  constructor(location: string) {
    this.#location = location;
  }

  /**
   * True where the entry was one of those that a change writes.
   * @throws OperatorError for a row that cannot be read: it names the row.
   */
  add(entry: StoredEntry): boolean {
    const { key, revision } = entry;
    if (key.startsWith(NODE_PREFIX)) {
      const [namespace, id] = this.#names(key, NODE_PREFIX, 2);
      const row = this.#check(nodeRowSchema, entry);
      this.#nodes.set(`${namespace}/${id}`, {
        namespace,
        id,
        ...row,
        createdRevision: row.createdRevision ?? revision,
        revision,
        instances: [],
        ended: [],
      });
    } else if (key.startsWith(INSTANCE_PREFIX)) {
      this.#addInstance(entry);
    } else if (key.startsWith('journal/')) {
      const row = this.#check(journalRowSchema, entry);
      this.#journal.push({
        revision,
        atMs: row.atMs,
        events: row.events.map((event) => decodeEvent(event, revision)),
      });
    } else {
      return false;
    }
    return true;
  }

  /** The nodes in the order of their creation. */
  nodes(): MembraneNode[] {
    for (const key of [...this.#instances.keys(), ...this.#ended.keys()]) {
      if (!this.#nodes.has(key)) throw this.#damaged(`${INSTANCE_PREFIX}${key}`, 'belongs to no node');
    }
    return [...this.#nodes]
      .map(([key, node]) => ({
        ...node,
        instances: (this.#instances.get(key) ?? []).sort((a, b) => a.incarnation - b.incarnation),
        ended: this.#ended.get(key)?.sort((a, b) => a.revision - b.revision) ?? NONE_ENDED,
      }))
      .sort((a, b) => a.createdRevision - b.createdRevision);
  }

  /** The journal, oldest first. */
  journal(): LoggedChange[] {
    return this.#journal.sort((a, b) => a.revision - b.revision);
  }

  #addInstance(entry: StoredEntry): void {
    const [namespace, id, instanceId] = this.#names(entry.key, INSTANCE_PREFIX, 3);
    const key = `${namespace}/${id}`;
    const { revision } = entry;
    // Asked beforehand: trying one schema after the other would double the time of a restart.
    if (typeof entry.value === 'object' && entry.value !== null && 'ended' in entry.value) {
      const { ended: reason, ...rest } = this.#check(endedRowSchema, entry);
      pushTo(this.#ended, key, { instanceId, reason, ...rest, revision });
    } else {
      const row = this.#check(liveRowSchema, entry);
      pushTo(this.#instances, key, toInstance(instanceId, row, row, revision));
    }
  }

  #names(key: string, prefix: string, count: 2): [string, string];
  #names(key: string, prefix: string, count: 3): [string, string, string];
  #names(key: string, prefix: string, count: number): string[] {
    const names = key.slice(prefix.length).split('/');
    if (names.length !== count || !names.every((name) => membraneIdSchema.safeParse(name).success)) {
      throw this.#damaged(key, `must have ${count} names in its key`);
    }
    return names;
  }

  #check<Schema extends z.ZodType>(schema: Schema, { key, value }: StoredEntry): z.output<Schema> {
    const result = schema.safeParse(value);
    if (!result.success) throw this.#damaged(key, z.prettifyError(result.error));
    return result.data;
  }

  #damaged(key: string, fault: string): OperatorError {
    return new OperatorError(
      `${this.#location} is damaged: the row "${key}" ${fault}. Nothing was changed. Restore it from a backup, or move it away to start empty`,
    );
  }
}

function toInstance(
  instanceId: string,
  described: z.output<typeof describedSchema>,
  fence: z.output<typeof fenceSchema>,
  revision: number,
): Instance {
  return {
    instanceId,
    endpoint: described.endpoint,
    communicationMode: described.communicationMode,
    endpoints: described.endpoints as Endpoint[] | null,
    healthCheckUrl: described.healthCheckUrl,
    metadata: described.metadata,
    weight: described.weight,
    relay: described.relay,
    heartbeatIntervalMs: described.heartbeatIntervalMs,
    status: described.status,
    registeredAtMs: described.registeredAtMs,
    tokenHash: fence.tokenHash,
    attempt: fence.attempt,
    replacedTokenHashes: fence.replacedTokenHashes,
    incarnation: described.incarnation ?? revision,
    revision,
  };
}

/** Events show no fence, so the journal keeps none. */
const NO_FENCE = { tokenHash: null, attempt: 0, replacedTokenHashes: [] };

function decodeEvent(
  { instance, before, after, ...rest }: z.output<typeof journalRowSchema>['events'][number],
  revision: number,
): EventDraft {
  return {
    ...rest,
    ...(instance === undefined
      ? {}
      : { instance: toInstance(rest.instanceId, instance, NO_FENCE, revision) }),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

function pushTo<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
