import { Agent } from 'node:http';
import {
  fromProblem,
  fromWire,
  isMembraneError,
  LIMITS,
  MembraneError,
  METADATA_FILTER_PREFIX,
  NEXT_CURSOR_HEADER,
  ROUTES,
  toWire,
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
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { parseClientOptions, type ClientOptions } from './options.js';

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
  signal?: AbortSignal;
}

/**
 * The calls of a registry, in TypeScript's case. Every method rejects with a MembraneError: the registry's own code,
 * `registry_unreachable` where none answered, with the cause chained.
 */
export class RegistryApi {
  readonly options: Readonly<ClientOptions>;
  readonly #http: AxiosInstance;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(options: Partial<ClientOptions> = {}) {
    this.options = parseClientOptions(options);
    this.#http = axios.create({
      baseURL: this.options.registryUrl,
      timeout: this.options.timeoutMs,
      httpAgent: this.#agent,
      // Every status is looked at here, and a registry never redirects.
      validateStatus: () => true,
      maxRedirects: 0,
      // A registry is near; a proxy that is meant for the world outside would be asked about this machine.
      proxy: false,
    });
  }

  register(
    request: CamelCased<RegistrationRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<RegistrationAnswer>> {
    const body = { namespace: this.options.namespace, ...toWire<RegistrationRequest>(request) };
    return this.#call('register', { body, ...call });
  }

  deregister(
    request: CamelCased<DeregistrationRequest>,
    call?: CallOptions,
  ): Promise<CamelCased<DeregistrationAnswer>> {
    const body = { namespace: this.options.namespace, ...toWire<DeregistrationRequest>(request) };
    return this.#call('deregister', { body, ...call });
  }

  async heartbeat(heartbeat: CamelCased<Heartbeat>, call?: CallOptions): Promise<void> {
    const body = { namespace: this.options.namespace, ...toWire<Heartbeat>(heartbeat) };
    await this.#call('heartbeat', { body, ...call });
  }

  /** Failures are in the answer, which is no error. */
  heartbeatBatch(
    batch: CamelCased<HeartbeatBatch>,
    call?: CallOptions,
  ): Promise<CamelCased<HeartbeatBatchAnswer>> {
    const { namespace } = this.options;
    const wire = toWire<HeartbeatBatch>(batch);
    const heartbeats = wire.heartbeats.map((heartbeat) => ({ namespace, ...heartbeat }));
    return this.#call('heartbeat', { body: { ...wire, heartbeats }, ...call });
  }

  /** Undefined where there is no such membrane. */
  async discover(id: string, call?: CallOptions): Promise<CamelCased<DiscoveredMembrane> | undefined> {
    try {
      return await this.#call('discover', {
        path: ROUTES.discover.path.replace('{id}', encodeURIComponent(id)),
        query: { namespace: this.options.namespace },
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
      query: { namespace: this.options.namespace, ...Object.fromEntries(given) },
      ...call,
    });
  }

  /** Lets go of the connections. */
  close(): void {
    this.#agent.destroy();
  }

  #toQuery({ parent, communicationMode, status, metadata = {} }: ListFilter): Record<string, string> {
    return {
      namespace: this.options.namespace,
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

  async #request(
    name: RouteName,
    { path, query, body, signal }: ApiRequest,
  ): Promise<AxiosResponse<unknown>> {
    const route = ROUTES[name];
    let response: AxiosResponse<unknown>;
    try {
      response = await this.#http.request({
        method: route.method,
        url: path ?? route.path,
        ...(query === undefined ? {} : { params: query }),
        ...(body === undefined ? {} : { data: body }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (cause) {
      if (signal?.aborted === true) signal.throwIfAborted();
      throw this.#unreachable(cause);
    }
    if (response.status === 200 && isAnswer(name, response.data)) return response;
    const retryAfterS = Number(response.headers['retry-after'] ?? Number.NaN);
    const problem = fromProblem(
      response.data,
      Number.isFinite(retryAfterS) ? retryAfterS * 1_000 : undefined,
    );
    throw (
      problem ??
      new MembraneError(
        'registry_unreachable',
        `${this.options.registryUrl} is no Membrane registry: it answered ${route.path} with status ${response.status}`,
      )
    );
  }

  #unreachable(cause: unknown): MembraneError {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    return new MembraneError(
      'registry_unreachable',
      `no registry answers at ${this.options.registryUrl} (${reason})`,
      {
        cause,
      },
    );
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
