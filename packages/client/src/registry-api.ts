import {
  discoverParamsSchema,
  fromWire,
  invalidRequest,
  isMembraneError,
  LIMITS,
  mailboxParamsSchema,
  METADATA_FILTER_PREFIX,
  NEXT_CURSOR_HEADER,
  MembraneError,
  parseRevisionText,
  REVISION_HEADER,
  ROUTES,
  toWire,
  validate,
  type CamelCased,
  type CommunicationMode,
  type DeadLetter,
  type DeadLettersAnswer,
  type DeadLettersRequest,
  type DeregistrationAnswer,
  type DeregistrationRequest,
  type DissolveRequest,
  type DivideRequest,
  type DrainRequest,
  type DiscoveredMembrane,
  type Envelope,
  type Heartbeat,
  type HeartbeatBatch,
  type HeartbeatBatchAnswer,
  type MailboxAckAnswer,
  type MailboxAckRequest,
  type MailboxItem,
  type MailboxPostAnswer,
  type MembraneEvent,
  type MembraneRecord,
  type MembraneStatus,
  type MoveRequest,
  type RegistrationAnswer,
  type RegistrationRequest,
  type RegistryStatus,
  type RouteName,
  type StatusCounts,
  type TreeChangeAnswer,
} from '@membrane/protocol';
import type { Readable } from 'node:stream';
import type { AxiosResponse } from 'axios';
import { isAnswer } from './registry-answer.js';
import type { RegistryConnection } from './registry-connection.js';

/** One instance of a membrane, as the registry tells of it. */
export type Membrane = CamelCased<MembraneRecord>;

/** A membrane by its primary instance, how many instances are in which state, and its children. */
export type MembraneTree = Membrane & {
  readonly counts: StatusCounts;
  readonly children: readonly MembraneTree[];
};

export interface ListFilter {
  /** Children of this membrane; null: the roots. */
  parent?: string | null;
  communicationMode?: CommunicationMode;
  status?: MembraneStatus;
  /** Top-level keys of the metadata and the values they must have. */
  metadata?: Readonly<Record<string, string>>;
  /** This membrane and what is below it. */
  subtree?: string;
}

export interface EventsFilter {
  /** Only of this id. */
  membrane?: string;
  /** Only of later revisions, `LOG:REVISION` or a revision alone. */
  since?: number | string;
  /** 10,000 at most. */
  limit?: number;
}

export interface CollectRequest {
  /** Whose mailbox. */
  id: string;
  /** Which instance collects: messages that were meant for another live one stay where they are. */
  instanceId?: string;
  /** How long to wait for a message where there is none; 0 unless given. */
  waitMs?: number;
  /** Messages at most; 100 unless given. */
  max?: number;
  leaseToken?: string;
  /** In place of the client's own. */
  namespace?: string;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** In place of the client's own `timeoutMs`. */
  timeoutMs?: number | undefined;
}

/**
 * The calls of a registry, in TypeScript's case. Every method rejects with a MembraneError: the registry's own code,
 * `registry_unreachable` where none answered, with the cause chained.
 */
export class RegistryApi {
  readonly namespace: string;
  readonly #connection: RegistryConnection;
  readonly #timeoutMs: number;

  constructor(
    connection: RegistryConnection,
    { namespace, timeoutMs }: { namespace: string; timeoutMs: number },
  ) {
    this.#connection = connection;
    this.namespace = namespace;
    this.#timeoutMs = timeoutMs;
  }

  /** The registry that answered last, or is asked first. */
  get url(): string {
    return this.#connection.url;
  }

  register(
    request: CamelCased<RegistrationRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<RegistrationAnswer>> {
    const body = { namespace: this.namespace, ...toWire<RegistrationRequest>(request) };
    return this.#call('register', { body, ...call });
  }

  deregister(
    request: CamelCased<DeregistrationRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<DeregistrationAnswer>> {
    const body = { namespace: this.namespace, ...toWire<DeregistrationRequest>(request) };
    return this.#call('deregister', { body, ...call });
  }

  async heartbeat(heartbeat: CamelCased<Heartbeat>, call?: CallOptions): Promise<void> {
    const body = { namespace: this.namespace, ...toWire<Heartbeat>(heartbeat) };
    await this.#call('heartbeat', { body, ...call });
  }

  /** Failures are in the answer, which is no error. */
  heartbeatBatch(
    batch: CamelCased<HeartbeatBatch>,
    call?: CallOptions,
  ): Promise<CamelCased<HeartbeatBatchAnswer>> {
    const { namespace } = this;
    const wire = toWire<HeartbeatBatch>(batch);
    const heartbeats = wire.heartbeats.map((heartbeat) => ({ namespace, ...heartbeat }));
    return this.#call('heartbeat', { body: { ...wire, heartbeats }, ...call });
  }

  /** Undefined where there is no such membrane. */
  async discover(id: string, call?: CallOptions): Promise<CamelCased<DiscoveredMembrane> | undefined> {
    // An empty id would ask for another page of the registry.
    validate(discoverParamsSchema, { id }, 'call');
    try {
      return await this.#call('discover', {
        path: ROUTES.discover.path.replace('{id}', encodeURIComponent(id)),
        query: { namespace: this.namespace },
        ...call,
      });
    } catch (error) {
      if (isMembraneError(error) && error.code === 'not_found') return undefined;
      throw error;
    }
  }

  /** All of them at once; `iterateMembranes` holds one page at a time. */
  listMembranes(filter: ListFilter = {}, call?: CallOptions): Promise<Membrane[]> {
    return this.#call('list', { query: this.#toQuery(filter), ...call });
  }

  async *iterateMembranes(filter: ListFilter = {}, call?: CallOptions): AsyncIterable<Membrane> {
    for await (const { records } of this.#pages(filter, call)) yield* records;
  }

  /**
   * The membranes that fit, page by page, and the revision (`LOG:REVISION`) of the first page: whoever reads all pages,
   * and then follows the changes from there, knows the state.
   */
  async snapshot(
    filter: ListFilter = {},
    call?: CallOptions,
  ): Promise<{ revision: string; pages: AsyncIterable<readonly Membrane[]> }> {
    const pages = this.#pages(filter, call);
    const first = await pages.next();
    if (first.done === true) throw new Error('a list without a page');
    const { revision, records } = first.value;
    return {
      revision,
      pages: (async function* () {
        yield records;
        for await (const page of pages) yield page.records;
      })(),
    };
  }

  /** Server-sent events that go on until one of both ends them: what `GET /watch` answers. */
  openWatch(query: Readonly<Record<string, string>>, call?: CallOptions): Promise<Readable> {
    return this.#connection.open({
      path: ROUTES.watch.path,
      query: { namespace: this.namespace, ...query },
      timeoutMs: call?.timeoutMs ?? this.#timeoutMs,
      mediaType: 'text/event-stream',
      signal: call?.signal,
    });
  }

  /**
   * Leaves a message in the mailbox of its `target`. Resolves once it is durable there; an `id` that is there already
   * changes nothing. Rejects with `not_found` where the registry knows no such membrane, `mailbox_full`, `expired`,
   * `payload_too_large`.
   */
  async postMessage(envelope: Envelope, call?: CallOptions): Promise<CamelCased<MailboxPostAnswer>> {
    if (envelope.target == null)
      throw invalidRequest([{ path: 'target', message: 'must be given' }], 'envelope');
    return this.#call('postMessage', {
      path: toMailboxPath('postMessage', envelope.target),
      query: { namespace: envelope.namespace ?? this.namespace },
      body: envelope,
      ...call,
    });
  }

  /**
   * Messages of a mailbox, oldest first, each hidden from other collectors for 30 s; none where none came within
   * `waitMs`, which is beside the timeout of the call. Never keeps the process alive while it waits.
   */
  async collectMessages(
    { id, instanceId, waitMs = 0, max, leaseToken, namespace = this.namespace }: CollectRequest,
    call?: CallOptions,
  ): Promise<MailboxItem[]> {
    return this.#call('collectMessages', {
      path: toMailboxPath('collectMessages', id),
      query: {
        namespace,
        ...(instanceId === undefined ? {} : { instance_id: instanceId }),
        ...(waitMs === 0 ? {} : { wait_ms: String(waitMs) }),
        ...(max === undefined ? {} : { max: String(max) }),
      },
      waitMs,
      ...(leaseToken === undefined ? {} : { headers: { Authorization: `Lease ${leaseToken}` } }),
      ...call,
    });
  }

  /** Says what became of collected messages. Resolves once that is durable; void receipts are in the answer. */
  async ackMessages(
    { id, ...request }: { id: string } & CamelCased<MailboxAckRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<MailboxAckAnswer>> {
    const body = { namespace: this.namespace, ...toWire<MailboxAckRequest>(request) };
    return this.#call('ackMessages', { path: toMailboxPath('ackMessages', id), body, ...call });
  }

  /** The oldest dead letters of a mailbox, at most `limit` (100). */
  async deadLetters(
    { id, limit, namespace = this.namespace }: { id: string; limit?: number; namespace?: string },
    call?: CallOptions,
  ): Promise<CamelCased<DeadLetter>[]> {
    const query = { namespace, ...(limit === undefined ? {} : { limit: String(limit) }) };
    return this.#call('deadLetters', { path: toMailboxPath('deadLetters', id), query, ...call });
  }

  /** Puts dead letters back into the mailbox, or discards them: all of them, or those of `messageIds`. */
  async changeDeadLetters(
    { id, ...request }: { id: string } & CamelCased<DeadLettersRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<DeadLettersAnswer>> {
    const body = { namespace: this.namespace, ...toWire<DeadLettersRequest>(request) };
    return this.#call('changeDeadLetters', { path: toMailboxPath('changeDeadLetters', id), body, ...call });
  }

  /** A membrane with what is below it, or without an id all trees of the namespace; at most `depth` levels below. */
  async tree(
    { id, depth }: { id?: string | undefined; depth?: number | undefined } = {},
    call?: CallOptions,
  ): Promise<MembraneTree[]> {
    const query = { namespace: this.namespace, ...(depth === undefined ? {} : { depth: String(depth) }) };
    if (id === undefined) return this.#call('forest', { query, ...call });
    return [await this.#call<MembraneTree>('tree', { path: toIdPath('tree', id), query, ...call })];
  }

  /**
   * Gives a membrane another parent; null makes it a root. Rejects with `not_found`, `cycle`, or `conflict` where
   * `ifRevision` is not its revision or the tree would be too deep.
   */
  move(
    { id, ...request }: { id: string } & CamelCased<MoveRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<TreeChangeAnswer>> {
    return this.#changeTree('move', id, toWire<MoveRequest>(request), call);
  }

  /** Ends a membrane; its children and its messages belong to its parent. */
  dissolve(
    { id, ...request }: { id: string } & CamelCased<DissolveRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<TreeChangeAnswer>> {
    return this.#changeTree('dissolve', id, toWire<DissolveRequest>(request), call);
  }

  /** Ends a membrane; its children go to the siblings that `heirs` names for them, the others to its parent. */
  divide(
    { id, ...request }: { id: string } & CamelCased<DivideRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<TreeChangeAnswer>> {
    return this.#changeTree('divide', id, toWire<DivideRequest>(request), call);
  }

  /** Begins or ends the draining of a membrane, or of one of its instances: it stays, and gets nothing new. */
  drain(
    { id, ...request }: { id: string } & CamelCased<DrainRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<TreeChangeAnswer>> {
    return this.#changeTree('drain', id, toWire<DrainRequest>(request), call);
  }

  status(call?: CallOptions): Promise<CamelCased<RegistryStatus>> {
    return this.#call('status', { ...call });
  }

  /** The journal, newest last: the newest `limit` (100) events, or the oldest after `since`. */
  async events(query: EventsFilter = {}, call?: CallOptions): Promise<CamelCased<MembraneEvent>[]> {
    return (await this.journal(query, call)).events;
  }

  /** The same with the revision (`LOG:REVISION`) that the registry had: from there a watch goes on. */
  async journal(
    query: EventsFilter = {},
    call?: CallOptions,
  ): Promise<{ revision: string; events: CamelCased<MembraneEvent>[] }> {
    const given = Object.entries(query).map(([key, value]) => [key, String(value)] as const);
    const { data, headers } = await this.#request('events', {
      query: { namespace: this.namespace, ...Object.fromEntries(given) },
      ...call,
    });
    return {
      revision: String(headers[REVISION_HEADER.toLowerCase()]),
      events: fromWire(data) as CamelCased<MembraneEvent>[],
    };
  }

  async *#pages(
    filter: ListFilter,
    call: CallOptions | undefined,
  ): AsyncGenerator<{ readonly revision: string; readonly records: readonly Membrane[] }> {
    let cursor: string | undefined;
    let log: string | undefined;
    do {
      const query = {
        ...this.#toQuery(filter),
        limit: String(PAGE_SIZE),
        ...(cursor === undefined ? {} : { cursor }),
      };
      const { data, headers } = await this.#request('list', { query, ...call });
      const revision = String(headers[REVISION_HEADER.toLowerCase()]);
      const { logId } = parseRevisionText(revision);
      // Another registry answers now, or this one lost its state: what was read is no part of the same list.
      if ((log ??= logId) !== logId) {
        throw new MembraneError('registry_unreachable', 'the registry changed while its list was read');
      }
      yield { revision, records: fromWire(data) as Membrane[] };
      cursor = headers[NEXT_CURSOR_HEADER.toLowerCase()] as string | undefined;
    } while (cursor !== undefined);
  }

  #toQuery({
    parent,
    communicationMode,
    status,
    metadata = {},
    subtree,
  }: ListFilter): Record<string, string> {
    return {
      namespace: this.namespace,
      ...(parent === undefined ? {} : { parent: parent ?? '' }),
      ...(communicationMode === undefined ? {} : { communication_mode: communicationMode }),
      ...(status === undefined ? {} : { status }),
      ...(subtree === undefined ? {} : { subtree }),
      ...Object.fromEntries(
        Object.entries(metadata).map(([key, value]) => [`${METADATA_FILTER_PREFIX}${key}`, value]),
      ),
    };
  }

  async #changeTree(
    name: 'move' | 'dissolve' | 'divide' | 'drain',
    id: string,
    request: object,
    call: CallOptions | undefined,
  ): Promise<CamelCased<TreeChangeAnswer>> {
    return this.#call(name, {
      path: toIdPath(name, id),
      body: { namespace: this.namespace, ...request },
      ...call,
    });
  }

  async #call<Answer>(name: RouteName, request: ApiRequest): Promise<Answer> {
    const response = await this.#request(name, request);
    return fromWire(response.data) as Answer;
  }

  #request(
    name: RouteName,
    { path, query, body, headers, waitMs, signal, timeoutMs }: ApiRequest,
  ): Promise<AxiosResponse<unknown>> {
    const route = ROUTES[name];
    return this.#connection.request({
      method: route.method,
      path: path ?? route.path,
      timeoutMs: timeoutMs ?? this.#timeoutMs,
      isAnswer: (data) => isAnswer(name, data),
      signal,
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
      ...(waitMs === undefined ? {} : { waitMs }),
    });
  }
}

/** An empty id would ask for another page of the registry. */
function toIdPath(name: RouteName, given: unknown): string {
  const { id } = validate(discoverParamsSchema, { id: given }, 'call');
  return ROUTES[name].path.replace('{id}', encodeURIComponent(id));
}

/** An empty id would ask for another page of the registry. */
function toMailboxPath(name: RouteName, id: unknown): string {
  const owner = validate(mailboxParamsSchema, { id }, 'call');
  return ROUTES[name].path.replace('{id}', encodeURIComponent(owner.id));
}

interface ApiRequest extends CallOptions {
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly waitMs?: number;
}

const PAGE_SIZE = Math.min(1_000, LIMITS.maxPageSize);
