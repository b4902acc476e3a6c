import type { CommunicationMode, MembraneEvent, MembraneRecord, MembraneStatus } from '@membrane/protocol';
import { CreationOrder } from './creation-order.js';
import type { LoggedEvent } from './event-log.js';
import type { MembraneDirectory } from './membrane-directory.js';
import type { Instance, MembraneNode } from './membrane-node.js';
import { ancestorsOf, descendantsOf, parentOf } from './tree-walk.js';

/** Where a list goes on: after this incarnation of the node created at this revision. */
export interface ListCursor {
  readonly createdRevision: number;
  readonly incarnation: number;
}

export interface ListFilter {
  readonly namespace: string;
  /** Null: the roots. Undefined: wherever it stands. */
  readonly parent: string | null | undefined;
  /** This membrane and those below it. */
  readonly subtree: string | undefined;
  /** Levels below the subtree's top, or below the tops of all trees. */
  readonly depth: number | undefined;
  readonly communicationMode: CommunicationMode | undefined;
  readonly status: MembraneStatus | undefined;
  readonly metadata: readonly (readonly [key: string, value: string])[];
}

export interface ListSlice {
  readonly found: readonly (readonly [MembraneNode, Instance])[];
  /** Where to go on; undefined at the end. */
  readonly next: ListCursor | undefined;
}

/** Of more children, or of a larger subtree, the members are not collected, which would take long, but looked for among all. */
const MAX_SORTED = 10_000;

const START: ListCursor = { createdRevision: 0, incarnation: 0 };

/**
 * A list in slices, oldest id first and of one id the oldest incarnation first. Each slice sees the state as it is
 * then: what is registered throughout is listed once.
 */
export class ListQuery {
  readonly #directory: MembraneDirectory;
  readonly #filter: ListFilter;
  /** The children, or a subtree that is not too large, where one is asked for: no other node need be looked at. */
  readonly #members: CreationOrder | undefined;

  constructor(directory: MembraneDirectory, filter: ListFilter) {
    this.#directory = directory;
    this.#filter = filter;
    const { namespace, parent, subtree, depth } = filter;
    if (typeof parent === 'string') {
      const children = descendantsOf(directory, namespace, parent, 1, MAX_SORTED);
      if (children.length <= MAX_SORTED) this.#members = this.#sort(children);
    } else if (subtree !== undefined) {
      const below = descendantsOf(directory, namespace, subtree, depth, MAX_SORTED);
      if (below.length <= MAX_SORTED) this.#members = this.#sort([subtree, ...below]);
    }
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
      this.#members?.from(createdRevision) ?? this.#directory.idsFrom(this.#filter.namespace, createdRevision)
    );
  }

  #sort(ids: Iterable<string>): CreationOrder {
    const { namespace } = this.#filter;
    const order = new CreationOrder();
    [...ids]
      .map((id) => [this.#directory.node(namespace, id)?.createdRevision ?? 0, id] as const)
      .sort(([left], [right]) => left - right)
      .forEach(([revision, id]) => {
        order.append(revision, id);
      });
    return order;
  }

  #matchesPlace(node: MembraneNode): boolean {
    const { parent, subtree, depth } = this.#filter;
    if (parent !== undefined && parent !== parentOf(this.#directory, node)) return false;
    if (subtree === undefined && depth === undefined) return true;
    const level = subtree === undefined ? this.#levelOf(node) : this.#levelUnder(subtree, node);
    return level !== undefined && level <= (depth ?? Number.POSITIVE_INFINITY);
  }

  /** Levels below the membrane, or undefined where it is not below. */
  #levelUnder(subtree: string, node: MembraneNode): number | undefined {
    if (node.id === subtree) return 0;
    const index = ancestorsOf(this.#directory, node).indexOf(subtree);
    return index === -1 ? undefined : index + 1;
  }

  /** Levels below the top of its tree, which is the last one that is there. */
  #levelOf(node: MembraneNode): number {
    const ancestors = ancestorsOf(this.#directory, node);
    const absent = ancestors.findIndex((id) => !this.#directory.isPresent(node.namespace, id));
    return absent === -1 ? ancestors.length : absent;
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
  const { endpoint, communicationMode, endpoints, drain, failingCheck } = instance;
  const record: MembraneRecord = {
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
  if (drain !== null) record.drain = { reason: drain.reason, since: toSeconds(drain.sinceMs) };
  if (failingCheck !== null) {
    record.failing_check = { reason: failingCheck.reason, since: toSeconds(failingCheck.sinceMs) };
  }
  return record;
}

/** What an event tells of the instance: not how it is at the moment. */
function toEventRecord(event: LoggedEvent, instance: Instance): MembraneEvent['record'] {
  const { last_heartbeat, detached, ...record } = toRecord(event, instance, false, 0);
  return record;
}

/** The wire event. */
export function toEvent(event: LoggedEvent): MembraneEvent {
  const { namespace, id, instanceId, instance, before, after, heir, heirs, preservation } = event;
  return {
    revision: event.revision,
    event: event.event,
    id,
    namespace,
    instance_id: instanceId,
    timestamp: toSeconds(event.atMs),
    ...(instance === undefined ? {} : { record: toEventRecord(event, instance) }),
    ...(before === undefined ? {} : { before: { ancestors: [...before] } }),
    ...(after === undefined
      ? {}
      : {
          after: {
            ancestors: [...after],
            ...(heir === undefined ? {} : { heir }),
            ...(heirs === undefined ? {} : { heirs: toNamedHeirs(heirs) }),
          },
        }),
    ...(preservation === undefined ? {} : { preservation }),
  };
}

/** Without those who became roots, when the heir that was named for them was dissolved in turn. */
function toNamedHeirs(heirs: ReadonlyMap<string, string | null>): Record<string, string> {
  return Object.fromEntries([...heirs].filter((entry): entry is [string, string] => entry[1] !== null));
}
