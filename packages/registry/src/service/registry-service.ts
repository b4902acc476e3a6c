import {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  LIMITS,
  MembraneError,
  METADATA_FILTER_PREFIX,
  parseRevisionText,
  type DeregistrationAnswer,
  type DeregistrationRequest,
  type DiscoverQuery,
  type EventsQuery,
  type Heartbeat,
  type HeartbeatBatch,
  type HeartbeatBatchAnswer,
  type ListQuery,
  type MembraneEvent,
  type MembraneRecord,
  type RegistrationAnswer,
  type RegistrationRequest,
} from '@membrane/protocol';
import type { Clock } from '../clock.js';
import { TOP, type Scope } from '../domain/change-scopes.js';
import { decideDeregistration } from '../domain/deregistration.js';
import { findMissingLeaseFault, toLeaseError, type LeaseFault } from '../domain/lease-fault.js';
import { EXPIRED_AFTER_INTERVALS, UNHEALTHY_AFTER_INTERVALS } from '../domain/lease-table.js';
import {
  findEnded,
  findPrimary,
  type Endpoint,
  type Instance,
  type MembraneNode,
} from '../domain/membrane-node.js';
import { ListQuery as ListWalk, toEvent, toRecord, type ListCursor } from '../domain/membrane-query.js';
import { decideRegistration } from '../domain/registration.js';
import type { CommandQueue } from './command-queue.js';
import { hashToken } from './lease-token.js';
import type { RegistryState } from './registry-state.js';

/** Events in an answer for those who name no limit. */
const DEFAULT_EVENTS = 100;
/** A list is made in slices of this many records, and nodes looked at, so that it stalls nobody. */
const SLICE_RECORDS = 500;
const SLICE_SCANNED = 5_000;

export interface RegistryServiceOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  /** The pace of those who name none. */
  readonly heartbeatIntervalMs: number;
}

export interface RecordPage {
  readonly records: MembraneRecord[];
  /** What the next page is asked for with; undefined on the last. */
  readonly nextCursor: string | undefined;
}

/** The use cases: what each call of the wire does. Requests come in validated. */
export class RegistryService {
  readonly #state: RegistryState;
  readonly #queue: CommandQueue;
  readonly #clock: Clock;
  readonly #heartbeatIntervalMs: number;

  constructor(options: RegistryServiceOptions) {
    this.#state = options.state;
    this.#queue = options.queue;
    this.#clock = options.clock;
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs;
  }

  /** Resolves once the registration is durable. */
  async register(request: RegistrationRequest): Promise<RegistrationAnswer> {
    const command = {
      namespace: request.namespace ?? DEFAULT_NAMESPACE,
      id: request.id,
      instanceId: request.instance_id ?? DEFAULT_INSTANCE_ID,
      parent: request.parent ?? null,
      description: this.#describe(request),
      tokenHash: hashToken(request.lease_token),
      attempt: request.attempt ?? undefined,
    };
    const { namespace, id, instanceId, tokenHash } = command;
    const { outcome, revision } = await this.#queue.submit({
      namespace,
      id,
      decide: (view) => {
        const decision = decideRegistration(view, command, this.#clock.wallMs());
        // A repeated registration changes nothing, but its sender is alive: known at once, lest the lease be ended
        // by a command behind this one.
        if (decision.kind === 'unchanged') {
          this.#renew({ namespace, id, instance_id: instanceId }, tokenHash, this.#state.leaseNowMs());
        }
        return decision;
      },
    });
    const { node, instance } = outcome;
    return {
      success: true,
      id,
      namespace,
      instance_id: instanceId,
      parent: node.parent,
      // Zero is pending: the revision is what it waited for.
      incarnation: instance.incarnation || (revision ?? 0),
      lease_token: request.lease_token ?? null,
      heartbeat_interval_ms: instance.heartbeatIntervalMs,
      unhealthy_after_ms: UNHEALTHY_AFTER_INTERVALS * instance.heartbeatIntervalMs,
      expires_after_ms: EXPIRED_AFTER_INTERVALS * instance.heartbeatIntervalMs,
      revision: revision ?? instance.revision,
    };
  }

  /** Resolves once the end of the registration is durable. */
  async deregister(request: DeregistrationRequest): Promise<DeregistrationAnswer> {
    const command = {
      namespace: request.namespace ?? DEFAULT_NAMESPACE,
      id: request.id,
      instanceId: request.instance_id ?? DEFAULT_INSTANCE_ID,
      incarnation: request.incarnation ?? undefined,
      tokenHash: hashToken(request.lease_token),
      cascade: request.children === 'cascade',
      force: request.force === true,
    };
    const { revision } = await this.#queue.submit({
      namespace: command.namespace,
      id: command.id,
      decide: (view) => decideDeregistration(view, command, this.#clock.wallMs()),
    });
    return { success: true, revision: revision ?? this.#state.revision };
  }

  /**
   * Renews a lease in memory.
   * @throws MembraneError `not_registered`, `superseded`, `lease_token_required` or `removed`.
   */
  heartbeat(heartbeat: Heartbeat): void {
    const tokenHash = hashToken(heartbeat.lease_token);
    const fault = this.#renew(heartbeat, tokenHash, this.#state.leaseNowMs());
    if (fault !== undefined) throw toLeaseError(fault, heartbeat.id);
  }

  /** Renews many; what fails is listed and stops nothing. */
  heartbeatBatch(batch: HeartbeatBatch): HeartbeatBatchAnswer {
    const nowMs = this.#state.leaseNowMs();
    const batchHash = hashToken(batch.lease_token);
    const failed: HeartbeatBatchAnswer['failed'] = [];
    for (const [index, heartbeat] of batch.heartbeats.entries()) {
      const tokenHash = heartbeat.lease_token == null ? batchHash : hashToken(heartbeat.lease_token);
      const code = this.#renew(heartbeat, tokenHash, nowMs);
      if (code !== undefined) failed.push({ index, id: heartbeat.id, code });
    }
    return { success: failed.length === 0, renewed: batch.heartbeats.length - failed.length, failed };
  }

  /**
   * The records of an id, the primary first.
   * @throws MembraneError `not_found`.
   */
  discover(id: string, query: DiscoverQuery): [MembraneRecord, ...MembraneRecord[]] {
    const namespace = query.namespace ?? DEFAULT_NAMESPACE;
    const node = this.#state.directory.node(namespace, id);
    const primary = node === undefined ? undefined : findPrimary(node);
    if (node === undefined || primary === undefined) {
      throw new MembraneError('not_found', `no membrane "${id}" in namespace "${namespace}"`);
    }
    const others = node.instances.filter((instance) => instance !== primary);
    return [this.#toRecord(node, primary), ...others.map((instance) => this.#toRecord(node, instance))];
  }

  /** True where an id has a record. */
  isPresent(id: string, { namespace }: DiscoverQuery): boolean {
    return this.#state.directory.isPresent(namespace ?? DEFAULT_NAMESPACE, id);
  }

  /** Where something must change before `discover` answers otherwise. */
  discoverScope(id: string, { namespace }: DiscoverQuery): Scope {
    return { kind: 'node', namespace: namespace ?? DEFAULT_NAMESPACE, id };
  }

  /** The same for a list. */
  listScope({ namespace = DEFAULT_NAMESPACE, parent }: ListQuery): Scope {
    if (parent !== undefined) return { kind: 'children', namespace, id: parent === '' ? TOP : parent };
    return { kind: 'subtree', namespace, id: TOP };
  }

  /** One page. */
  listPage(query: ListQuery, metadata: ListFilterEntries): RecordPage {
    const walk = this.#walk(query, metadata);
    const limit = query.limit ?? LIMITS.maxPageSize;
    const { found, next } = walk.slice(limit, Number.POSITIVE_INFINITY, parseCursor(query.cursor));
    return {
      records: found.map(([node, instance]) => this.#toRecord(node, instance)),
      nextCursor: next === undefined ? undefined : `${next.createdRevision}.${next.incarnation}`,
    };
  }

  /** Everything, in slices; other requests are served between two of them. */
  *listAll(query: ListQuery, metadata: ListFilterEntries): Iterable<MembraneRecord[]> {
    const walk = this.#walk(query, metadata);
    let cursor: ListCursor | undefined;
    do {
      const { found, next } = walk.slice(SLICE_RECORDS, SLICE_SCANNED, cursor);
      yield found.map(([node, instance]) => this.#toRecord(node, instance));
      cursor = next;
    } while (cursor !== undefined);
  }

  /**
   * Journal entries, newest last.
   * @throws MembraneError `invalid_request` for a revision of another log.
   */
  events(query: EventsQuery): MembraneEvent[] {
    const limit = query.limit ?? DEFAULT_EVENTS;
    const filter = { namespace: query.namespace ?? DEFAULT_NAMESPACE, id: query.membrane };
    const { eventLog } = this.#state;
    const events =
      query.since === undefined
        ? eventLog.last(limit, filter)
        : eventLog.after(this.#parseRevision(query.since), limit, filter);
    return events.map(toEvent);
  }

  #describe(
    request: RegistrationRequest,
  ): Pick<Instance, 'endpoint' | 'communicationMode'> & DescriptionRest {
    const { endpoint, communication_mode: communicationMode } = request;
    return {
      endpoint,
      communicationMode,
      endpoints: request.endpoints?.map(toEndpoint) ?? null,
      healthCheckUrl: request.health_check_url ?? null,
      metadata: request.metadata ?? {},
      weight: request.weight ?? 1,
      relay: request.relay ?? false,
      heartbeatIntervalMs: request.heartbeat_interval_ms ?? this.#heartbeatIntervalMs,
    };
  }

  #renew(heartbeat: Heartbeat, tokenHash: string | null, nowMs: number): LeaseFault | undefined {
    const namespace = heartbeat.namespace ?? DEFAULT_NAMESPACE;
    const instanceId = heartbeat.instance_id ?? DEFAULT_INSTANCE_ID;
    const { id } = heartbeat;
    const renewal = this.#state.leases.renew(
      namespace,
      id,
      instanceId,
      tokenHash,
      heartbeat.incarnation ?? undefined,
      nowMs,
    );
    if (renewal === 'renewed') return undefined;
    if (renewal === 'recovered') {
      this.#state.recover(namespace, id, instanceId);
      return undefined;
    }
    if (renewal !== 'not_registered' || tokenHash === null) return renewal;
    const ended = findEnded(this.#state.directory.node(namespace, id), instanceId);
    return findMissingLeaseFault(ended, tokenHash);
  }

  #walk(query: ListQuery, metadata: ListFilterEntries): ListWalk {
    return new ListWalk(this.#state.directory, {
      namespace: query.namespace ?? DEFAULT_NAMESPACE,
      parent: query.parent === '' ? null : query.parent,
      communicationMode: query.communication_mode,
      status: query.status,
      metadata: metadata.map(([key, value]) => [key.slice(METADATA_FILTER_PREFIX.length), value] as const),
    });
  }

  #toRecord(node: MembraneNode, instance: Instance): MembraneRecord {
    const { namespace, id, parent } = node;
    const lease = this.#state.leases.get(namespace, id, instance.instanceId);
    const detached = parent !== null && !this.#state.directory.isPresent(namespace, parent);
    return toRecord(node, instance, detached, this.#state.toWallMs(lease?.renewedAtMs ?? 0));
  }

  #parseRevision(text: string): number {
    const { logId, revision } = parseRevisionText(text);
    if (logId !== undefined && logId !== this.#state.logId) {
      throw new MembraneError(
        'invalid_request',
        `since is a revision of the log ${logId}; this registry keeps the log ${this.#state.logId}, so read its state anew`,
      );
    }
    return revision;
  }
}

/** The query keys that begin with `meta.`, and their values. */
export type ListFilterEntries = readonly (readonly [key: string, value: string])[];

type DescriptionRest = Pick<
  Instance,
  'endpoints' | 'healthCheckUrl' | 'metadata' | 'weight' | 'relay' | 'heartbeatIntervalMs'
>;

function toEndpoint({
  mode,
  address,
  realm,
}: NonNullable<RegistrationRequest['endpoints']>[number]): Endpoint {
  return realm == null ? { mode, address } : { mode, address, realm };
}

function parseCursor(text: string | undefined): ListCursor | undefined {
  if (text === undefined) return undefined;
  const [createdRevision, incarnation] = text.split('.');
  return { createdRevision: Number(createdRevision), incarnation: Number(incarnation) };
}
