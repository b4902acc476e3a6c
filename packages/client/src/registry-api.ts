import {
  discoverParamsSchema,
  fromWire,
  isMembraneError,
  LIMITS,
  METADATA_FILTER_PREFIX,
  NEXT_CURSOR_HEADER,
  ROUTES,
  toWire,
  validate,
  type CamelCased,
  type CommunicationMode,
  type DeregistrationAnswer,
  type DeregistrationRequest,
  type DiscoveredMembrane,
  type Heartbeat,
  type HeartbeatBatch,
  type HeartbeatBatchAnswer,
  type MembraneEvent,
  type MembraneRecord,
  type MembraneStatus,
  type RegistrationAnswer,
  type RegistrationRequest,
  type RegistryStatus,
  type RouteName,
} from '@membrane/protocol';
import type { AxiosResponse } from 'axios';
import type { RegistryConnection } from './registry-connection.js';

/** One instance of a membrane, as the registry tells of it. */
export type Membrane = CamelCased<MembraneRecord>;

export interface ListFilter {
  /** Children of this membrane; null: the roots. */
  parent?: string | null;
  communicationMode?: CommunicationMode;
  status?: MembraneStatus;
  /** Top-level keys of the metadata and the values they must have. */
  metadata?: Readonly<Record<string, string>>;
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
    let cursor: string | undefined;
    do {
      const query = {
        ...this.#toQuery(filter),
        limit: String(PAGE_SIZE),
        ...(cursor === undefined ? {} : { cursor }),
      };
      const response = await this.#request('list', { query, ...call });
      yield* fromWire(response.data) as Membrane[];
      cursor = response.headers[NEXT_CURSOR_HEADER.toLowerCase()] as string | undefined;
    } while (cursor !== undefined);
  }

  status(call?: CallOptions): Promise<CamelCased<RegistryStatus>> {
    return this.#call('status', { ...call });
  }

  /** The journal, newest last. */
  events(
    query: { membrane?: string; since?: number; limit?: number } = {},
    call?: CallOptions,
  ): Promise<CamelCased<MembraneEvent>[]> {
    const given = Object.entries(query).map(([key, value]) => [key, String(value)] as const);
    return this.#call('events', {
      query: { namespace: this.namespace, ...Object.fromEntries(given) },
      ...call,
    });
  }

  #toQuery({ parent, communicationMode, status, metadata = {} }: ListFilter): Record<string, string> {
    return {
      namespace: this.namespace,
      ...(parent === undefined ? {} : { parent: parent ?? '' }),
      ...(communicationMode === undefined ? {} : { communication_mode: communicationMode }),
      ...(status === undefined ? {} : { status }),
      ...Object.fromEntries(
        Object.entries(metadata).map(([key, value]) => [`${METADATA_FILTER_PREFIX}${key}`, value]),
      ),
    };
  }

  async #call<Answer>(name: RouteName, request: ApiRequest): Promise<Answer> {
    const response = await this.#request(name, request);
    return fromWire(response.data) as Answer;
  }

  #request(
    name: RouteName,
    { path, query, body, signal, timeoutMs }: ApiRequest,
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
    });
  }
}

/** A field that every answer of a call has; a list has none. */
const TELLING_FIELDS: Readonly<Record<RouteName, string | undefined>> = {
  register: 'incarnation',
  deregister: 'success',
  heartbeat: 'success',
  discover: 'instances',
  list: undefined,
  status: 'registry_id',
  events: undefined,
  live: 'status',
  ready: 'status',
};

/** False where something else than a registry answers: that is to be said as such, whatever it sent. */
function isAnswer(name: RouteName, data: unknown): boolean {
  const field = TELLING_FIELDS[name];
  if (field === undefined) return Array.isArray(data);
  return typeof data === 'object' && data !== null && field in data;
}

interface ApiRequest extends CallOptions {
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
}

const PAGE_SIZE = Math.min(1_000, LIMITS.maxPageSize);
