import {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  isMembraneError,
  LIMITS,
  MembraneError,
  METADATA_FILTER_PREFIX,
  parseRevisionText,
  type DeregistrationAnswer,
  type DeregistrationRequest,
  type DiscoverQuery,
  type EventsQuery,
  type Heartbeat,
  type HeartbeatBatchAnswer,
  type ListQuery,
  type MembraneEvent,
  type MembraneRecord,
  type RegistrationAnswer,
  type RegistrationRequest,
} from '@membrane/protocol';
import type { Clock } from '../clock.js';
import { TOP, type Scope } from '../domain/change-scopes.js';
import type { Decision } from '../domain/change.js';
import { decideDeregistration } from '../domain/deregistration.js';
import { toLeaseError } from '../domain/lease-fault.js';
import { EXPIRED_AFTER_INTERVALS, UNHEALTHY_AFTER_INTERVALS } from '../domain/lease.js';
import { findPrimary } from '../domain/membrane-node.js';
import { ListQuery as ListWalk, toEvent, type ListCursor } from '../domain/membrane-query.js';
import {
  decideRegistration,
  type RegistrationCommand,
  type RegistrationOutcome,
} from '../domain/registration.js';
import type { StateView } from '../domain/state-view.js';
import { absentError } from '../domain/tombstone.js';
import { MAX_GROUP_BYTES, type CommandQueue, type CommandResult } from './command-queue.js';
import { describeInstance } from './instance-description.js';
import { LeaseRenewal } from './lease-renewal.js';
import { hashToken } from './lease-token.js';
import { recordOf } from './membrane-records.js';
import type { RegistryState } from './registry-state.js';
import { TextPool } from './text-pool.js';
import type { TombstoneSweeper } from './tombstone-sweeper.js';

/** Events in an answer for those who name no limit. */
const DEFAULT_EVENTS = 100;
/** A list is made in slices of this many records, and nodes looked at, so that it stalls nobody. */
const SLICE_RECORDS = 500;
const SLICE_SCANNED = 5_000;
/** Nodes looked at in vain for one page: one may be short. */
const PAGE_SCANNED = 10_000;
/** How often a registration is tried again whose id is dissolved at the same time. */
const MAX_TRIES = 3;

export interface RegistryServiceOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  readonly tombstones: Pick<TombstoneSweeper, 'clear'>;
  /** The pace of those who name none. */
  readonly heartbeatIntervalMs: number;
}

/** The use cases: what each call of the wire does. Requests come in validated, but for batches of heartbeats. */
export class RegistryService {
  readonly #state: RegistryState;
  readonly #queue: CommandQueue;
  readonly #clock: Clock;
  readonly #tombstones: RegistryServiceOptions['tombstones'];
  readonly #heartbeatIntervalMs: number;
  readonly #renewal: LeaseRenewal;
  readonly #parents = new TextPool();
  readonly #tokenHashes = new TextPool();

  constructor(options: RegistryServiceOptions) {
    this.#state = options.state;
    this.#renewal = new LeaseRenewal(options.state);
    this.#queue = options.queue;
    this.#clock = options.clock;
    this.#tombstones = options.tombstones;
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs;
  }

  /** Resolves once the registration is durable. */
  async register(request: RegistrationRequest): Promise<RegistrationAnswer> {
    const command = {
      namespace: request.namespace ?? DEFAULT_NAMESPACE,
      id: request.id,
      instanceId: request.instance_id ?? DEFAULT_INSTANCE_ID,
      parent: share(this.#parents, request.parent ?? null),
      description: describeInstance(request, this.#heartbeatIntervalMs),
      tokenHash: share(this.#tokenHashes, hashToken(request.lease_token)),
      attempt: request.attempt ?? undefined,
    };
    const { namespace, id, instanceId } = command;
    const { outcome, revision } = await this.#submitRegistration(command);
    const { parent, instance } = outcome;
    return {
      success: true,
      id,
      namespace,
      instance_id: instanceId,
      parent,
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
      // Two at most in one group.
      ...(command.cascade ? { bytes: MAX_GROUP_BYTES / 2 } : {}),
      decide: (view) => decideDeregistration(view, command, this.#clock.wallMs()),
    });
    return { success: true, revision: revision ?? this.#state.revision };
  }

  /**
   * Renews a lease in memory.
   * @throws MembraneError `not_registered`, `superseded`, `lease_token_required` or `removed`.
   */
  heartbeat(heartbeat: Heartbeat): void {
    const fault = this.#renewal.renew(heartbeat, hashToken(heartbeat.lease_token));
    if (fault !== undefined) throw toLeaseError(fault, heartbeat.id);
  }

  /**
   * Renews many; what fails is listed and stops nothing.
   * @throws MembraneError `invalid_request`, and then nothing was renewed.
   */
  heartbeatBatch(body: object): HeartbeatBatchAnswer {
    return this.#renewal.renewBatch(body);
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
      throw absentError(node, namespace, id);
    }
    const others = node.instances.filter((instance) => instance !== primary);
    return [
      recordOf(this.#state, node, primary),
      ...others.map((instance) => recordOf(this.#state, node, instance)),
    ];
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
  listScope({ namespace = DEFAULT_NAMESPACE, parent, subtree }: ListQuery): Scope {
    if (subtree !== undefined) return { kind: 'subtree', namespace, id: subtree };
    if (parent !== undefined) return { kind: 'children', namespace, id: parent === '' ? TOP : parent };
    return { kind: 'subtree', namespace, id: TOP };
  }

  /**
   * One page in slices, and at its end what the next one is asked for with, undefined on the last. It may be short, and
   * even empty, where few match: there is more as long as it has a cursor.
   */
  *listPage(query: ListQuery, metadata: ListFilterEntries): Generator<MembraneRecord[], string | undefined> {
    const walk = this.#walk(query, metadata);
    let left = query.limit ?? LIMITS.maxPageSize;
    let cursor = parseCursor(query.cursor);
    for (let scanned = 0; ;) {
      const wanted = Math.min(left, SLICE_RECORDS);
      const { found, next } = walk.slice(wanted, SLICE_SCANNED, cursor);
      yield found.map(([node, instance]) => recordOf(this.#state, node, instance));
      left -= found.length;
      if (found.length < wanted) scanned += SLICE_SCANNED;
      cursor = next;
      if (next === undefined) return undefined;
      if (left === 0 || scanned >= PAGE_SCANNED) return `${next.createdRevision}.${next.incarnation}`;
    }
  }

  /** Everything, in slices; other requests are served between two of them. */
  *listAll(query: ListQuery, metadata: ListFilterEntries): Iterable<MembraneRecord[]> {
    const walk = this.#walk(query, metadata);
    let cursor: ListCursor | undefined;
    do {
      const { found, next } = walk.slice(SLICE_RECORDS, SLICE_SCANNED, cursor);
      yield found.map(([node, instance]) => recordOf(this.#state, node, instance));
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

  /** What a dissolved membrane of this id left is handed over before. */
  async #submitRegistration(command: RegistrationCommand): Promise<CommandResult<RegistrationOutcome>> {
    const { namespace, id } = command;
    for (let tries = 0; ; tries += 1) {
      if (this.#state.directory.node(namespace, id)?.tombstone != null) {
        await this.#tombstones.clear(namespace, id);
      }
      try {
        return await this.#queue.submit({ namespace, id, decide: (view) => this.#decide(view, command) });
      } catch (error) {
        // It was dissolved just before, in the same group.
        if (!isMembraneError(error) || error.code !== 'not_ready' || tries === MAX_TRIES) throw error;
      }
    }
  }

  #decide(view: StateView, command: RegistrationCommand): Decision<RegistrationOutcome> {
    const { namespace, id, instanceId, tokenHash } = command;
    const decision = decideRegistration(view, command, this.#clock.wallMs());
    // A repeated registration changes nothing, but its sender is alive: known at once, lest the lease be ended by a
    // command behind this one.
    if (decision.kind === 'unchanged') {
      this.#renewal.renew({ namespace, id, instance_id: instanceId }, tokenHash);
    }
    return decision;
  }

  #walk(query: ListQuery, metadata: ListFilterEntries): ListWalk {
    return new ListWalk(this.#state.directory, {
      namespace: query.namespace ?? DEFAULT_NAMESPACE,
      parent: query.parent === '' ? null : query.parent,
      subtree: query.subtree,
      depth: query.depth,
      communicationMode: query.communication_mode,
      status: query.status,
      metadata: metadata.map(([key, value]) => [key.slice(METADATA_FILTER_PREFIX.length), value] as const),
    });
  }

  /** A revision alone, or with the log it belongs to. */
  #parseRevision(text: string): number {
    const shown = parseRevisionText(text);
    if (!this.#state.owns(shown)) {
      throw new MembraneError(
        'invalid_request',
        `since is a revision of the log ${String(shown.logId)}; this registry keeps the log ${this.#state.logId}, so read its state anew`,
      );
    }
    return shown.revision;
  }
}

/** The query keys that begin with `meta.`, and their values. */
export type ListFilterEntries = readonly (readonly [key: string, value: string])[];

function share(pool: TextPool, text: string | null): string | null {
  return text === null ? null : pool.share(text);
}

function parseCursor(text: string | undefined): ListCursor | undefined {
  if (text === undefined) return undefined;
  const [createdRevision, incarnation] = text.split('.');
  return { createdRevision: Number(createdRevision), incarnation: Number(incarnation) };
}
