import type { CommunicationMode, MembraneEvent, MembraneRecord, MembraneStatus } from '@membrane/protocol';
import { CreationOrder } from './creation-order.js';
import type { LoggedEvent } from './event-log.js';
import type { MembraneDirectory } from './membrane-directory.js';
import type { Instance, MembraneNode } from './membrane-node.js';

/** Where a list goes on: after this incarnation of the node created at this revision. */
export interface ListCursor {
  readonly createdRevision: number;
  readonly incarnation: number;
}

export interface ListFilter {
  readonly namespace: string;
  /** Null: the roots. Undefined: wherever it stands. */
  readonly parent: string | null | undefined;
  readonly communicationMode: CommunicationMode | undefined;
  readonly status: MembraneStatus | undefined;
  readonly metadata: readonly (readonly [key: string, value: string])[];
}

export interface ListSlice {
  readonly found: readonly (readonly [MembraneNode, Instance])[];
  /** Where to go on; undefined at the end. */
  readonly next: ListCursor | undefined;
}

const START: ListCursor = { createdRevision: 0, incarnation: 0 };

/**
 * A list in slices, oldest id first and of one id the oldest incarnation first. Each slice sees the state as it is
 * then: what is registered throughout is listed once.
 */
export class ListQuery {
  readonly #directory: MembraneDirectory;
  readonly #filter: ListFilter;
  /** The children, where a parent is asked for: no other node need be looked at. */
  readonly #children: CreationOrder | undefined;

  constructor(directory: MembraneDirectory, filter: ListFilter) {
    this.#directory = directory;
    this.#filter = filter;
    if (typeof filter.parent === 'string') this.#children = this.#sortChildren(filter.parent);
  }

  /** At most `limit` records, after looking at no more than `maxScanned` nodes. */
  slice(limit: number, maxScanned: number, from: ListCursor = START): ListSlice {
    const found: [MembraneNode, Instance][] = [];
    let scanned = 0;
    for (const id of this.#idsFrom(from.createdRevision)) {
      const node = this.#directory.node(this.#filter.namespace, id);
      if (node === undefined) continue;
      if (scanned === maxScanned) {
        return { found, next: { createdRevision: node.createdRevision, incarnation: 0 } };
      }
      scanned += 1;
      if (!this.#matchesPlace(node)) continue;
      const done = node.createdRevision === from.createdRevision ? from.incarnation : 0;
      for (const instance of node.instances) {
        if (instance.incarnation <= done || !this.#matches(instance)) continue;
        if (found.length === limit) {
          return {
            found,
            next: { createdRevision: node.createdRevision, incarnation: instance.incarnation - 1 },
          };
        }
        found.push([node, instance]);
      }
    }
    return { found, next: undefined };
  }

  #idsFrom(createdRevision: number): Iterable<string> {
    return (
      this.#children?.from(createdRevision) ??
      this.#directory.idsFrom(this.#filter.namespace, createdRevision)
    );
  }

  #sortChildren(parent: string): CreationOrder {
    const { namespace } = this.#filter;
    const order = new CreationOrder();
    [...this.#directory.childIds(namespace, parent)]
      .map((id) => [this.#directory.node(namespace, id)?.createdRevision ?? 0, id] as const)
      .sort(([left], [right]) => left - right)
      .forEach(([revision, id]) => {
        order.append(revision, id);
      });
    return order;
  }

  #matchesPlace(node: MembraneNode): boolean {
    return this.#filter.parent === undefined || this.#filter.parent === node.parent;
  }

  #matches(instance: Instance): boolean {
    const { communicationMode, status, metadata } = this.#filter;
    return (
      (communicationMode === undefined || communicationMode === instance.communicationMode) &&
      (status === undefined || status === instance.status) &&
      metadata.every(([key, value]) => matchesValue(instance.metadata, key, value))
    );
  }
}

/** A query is text: strings compare as they are, other values by their JSON. */
function matchesValue(metadata: Instance['metadata'], key: string, value: string): boolean {
  if (!Object.hasOwn(metadata, key)) return false;
  const actual = metadata[key];
  return typeof actual === 'string' ? actual === value : JSON.stringify(actual) === value;
}

const toSeconds = (ms: number): number => Math.round(ms) / 1_000;

type Endpoint = MembraneRecord['endpoints'][number];

/** The wire record. `lastHeartbeatMs` is epoch milliseconds. One literal, since discovery makes one a request. */
export function toRecord(
  { namespace, id, parent }: Pick<MembraneNode, 'namespace' | 'id' | 'parent'>,
  instance: Instance,
  detached: boolean,
  lastHeartbeatMs: number,
): MembraneRecord {
  const { endpoint, communicationMode, endpoints } = instance;
  return {
    id,
    namespace,
    instance_id: instance.instanceId,
    parent,
    endpoint,
    communication_mode: communicationMode,
    endpoints: (endpoints as Endpoint[] | null) ?? [{ mode: communicationMode, address: endpoint }],
    health_check_url: instance.healthCheckUrl,
    metadata: instance.metadata,
    registered_at: toSeconds(instance.registeredAtMs),
    last_heartbeat: toSeconds(lastHeartbeatMs),
    status: instance.status,
    detached,
    incarnation: instance.incarnation,
    revision: instance.revision,
    weight: instance.weight,
    relay: instance.relay,
    heartbeat_interval_ms: instance.heartbeatIntervalMs,
  };
}

/** What an event tells of the instance: not how it is at the moment. */
function toEventRecord(event: LoggedEvent, instance: Instance): MembraneEvent['record'] {
  const { last_heartbeat, detached, ...record } = toRecord(event, instance, false, 0);
  return record;
}

/** The wire event. */
export function toEvent(event: LoggedEvent): MembraneEvent {
  const { namespace, id, instanceId, instance, before, after } = event;
  return {
    revision: event.revision,
    event: event.event,
    id,
    namespace,
    instance_id: instanceId,
    timestamp: toSeconds(event.atMs),
    ...(instance === undefined ? {} : { record: toEventRecord(event, instance) }),
    ...(before === undefined ? {} : { before: { ancestors: [...before] } }),
    ...(after === undefined ? {} : { after: { ancestors: [...after] } }),
  };
}
