import { EventEmitter } from 'node:events';
import {
  isMembraneError,
  MembraneError,
  type CamelCased,
  type JsonValue,
  type RegistryStatus,
} from '@membrane/protocol';
import type { ClientEvents, Lease, Tell } from './client-events.js';
import { Balancer } from './balancing/balancer.js';
import { systemClock } from './clock.js';
import { processLeaseToken } from './lease-token.js';
import {
  MembraneFinder,
  type DiscoverOptions,
  type PickOptions,
  type UseOptions,
} from './membrane-finder.js';
import type { DeadLetterInfo } from './messaging/dead-letters.js';
import type { BroadcastReport, Delivery, SendOptions } from './messaging/delivery.js';
import type { MessageHandler } from './messaging/handler-group.js';
import { Handlers, type MessagesOptions, type OnMessageOptions } from './messaging/handlers.js';
import type { Message } from './messaging/message.js';
import type { MessageSender } from './messaging/message-sender.js';
import type { Messaging } from './messaging/messaging.js';
import {
  parseClientOptions,
  type ClientOptions,
  type NamespaceClientOptions,
  type Setting,
} from './options.js';
import {
  OwnRegistration,
  type DeregisterOptions,
  type RegisterOptions,
  type RegistrationState,
} from './own-registration.js';
import { beforeProcessEnds } from './process-exit.js';
import {
  RegistryApi,
  type CallOptions,
  type ListFilter,
  type Membrane,
  type MembraneTree,
} from './registry-api.js';
import { REGISTERED_VARIABLE } from './registered-variable.js';
import { acquireRegistry, type SharedRegistry } from './registry-pool.js';
import { Resolver, type FoundMembrane } from './resolver.js';
import { toMembraneError } from './to-membrane-error.js';
import { checkWatchFilter } from './watching/check-watch-filter.js';
import type { MembraneReplica, ReplicaStatus } from './watching/membrane-replica.js';
import type { WatchedEvent } from './watching/watch.js';
import type { Watching, WatchOptions } from './watching/watching.js';

export interface OnChangeOptions extends WatchOptions {
  /** Called where the watch cannot go on; without it, that surfaces as an uncaught error. */
  onError?: ((error: MembraneError) => void) | undefined;
}

export interface TreeOptions extends CallOptions {
  /** Levels below the top; all of them unless given. */
  depth?: number | undefined;
}

export interface TreeChangeOptions extends CallOptions {
  /** Only where this is the highest revision of its records: nobody has changed it since they were read. */
  ifRevision?: number | undefined;
}

export interface DrainOptions extends CallOptions {
  /** False ends it; true unless given. */
  enabled?: boolean | undefined;
  /** One instance; all of them unless given. */
  instanceId?: string | undefined;
  /** For people. */
  reason?: string | undefined;
}

export interface CloseOptions {
  /** False leaves the registration to lapse, or to another process that has its token. */
  deregister?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface ClientStatus {
  readonly id: string;
  readonly namespace: string;
  readonly instanceId: string;
  readonly state: RegistrationState;
  /** The lease that this client keeps; its age in milliseconds. */
  readonly lease: (Lease & { readonly ageMs: number }) | undefined;
  /** The id as the registry has it, whoever registered it; undefined where there is none, or no answer. */
  readonly membrane: FoundMembrane | undefined;
  readonly registry: {
    /** The one that answered last, or is asked first. */
    readonly url: string;
    readonly urls: readonly string[];
    /** What it says of itself; undefined where none answers. */
    readonly status: CamelCased<RegistryStatus> | undefined;
    /** Why there is no answer. */
    readonly error: MembraneError | undefined;
  };
  /** Every setting that can come from several places, with the one that counted. */
  readonly settings: readonly Setting[];
}

/**
 * A client of a namespace registry. Its options come from code, then the environment, then a config file, then the
 * defaults.
 * @param id its own name; where nothing names one it is made of the host's name and the process id
 * @throws MembraneError `invalid_request` that names the setting, where it comes from, its value and what would be right
 */
export function createNamespaceClient(id?: string, options?: NamespaceClientOptions): NamespaceClient {
  return new NamespaceClient(parseClientOptions(id, options));
}

/**
 * Registers a membrane and keeps it registered, finds others, and tells what happens by events (`ClientEvents`).
 * Whatever it refuses is a MembraneError with a `code`; whatever waits takes an AbortSignal and rejects with its
 * reason. After `close()` every call rejects with `client_closed`.
 */
export class NamespaceClient extends EventEmitter<ClientEvents> {
  readonly options: ClientOptions;
  readonly #shared: SharedRegistry;
  readonly #api: RegistryApi;
  readonly #own: OwnRegistration;
  readonly #finder: MembraneFinder;
  readonly #handlers: Handlers;
  readonly #balancer: Balancer;
  /** Loaded when it is needed: who only registers pays nothing for it. */
  #messaging: Promise<Messaging> | undefined;
  /** Once it is there, messages need not wait for it. */
  #sender: MessageSender | undefined;
  /** Loaded when it is needed. */
  #watching: Promise<Watching> | undefined;
  /** Once it is there, what it holds is found at once. */
  #replica: MembraneReplica | undefined;
  /** Takes back what `autoRegister()` set up. */
  #forgetAuto: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** @internal Use `createNamespaceClient`. */
  constructor(options: ClientOptions) {
    super();
    this.options = options;
    const { registryUrls: urls, timeoutMs, namespace, cache } = options;
    const leaseToken = options.leaseToken ?? processLeaseToken();
    this.#shared = acquireRegistry({ urls, leaseToken });
    this.#api = new RegistryApi(this.#shared.connection, { namespace, timeoutMs });
    const { keeper } = this.#shared;
    this.#own = new OwnRegistration({
      options,
      api: this.#api,
      keeper,
      tell: this.#tellOfRegistration,
      openReceivers: async (instanceId) => (await this.#loadMessaging()).open(instanceId),
    });
    this.#handlers = new Handlers({ concurrency: options.messaging.concurrency });
    this.#balancer = new Balancer({
      options: options.balancer,
      clientKey: this.#name,
      clock: systemClock,
      random: Math.random,
    });
    const resolver =
      cache === false
        ? undefined
        : new Resolver({ ask: (id) => this.#api.discover(id), cache, clock: systemClock });
    this.#finder = new MembraneFinder({
      api: this.#api,
      resolver,
      replica: () => this.#replica,
      balancer: this.#balancer,
    });
    if (cache !== false && cache.watch !== false) void this.#loadWatching();
  }

  get id(): string {
    return this.options.id;
  }

  /** The calls of the registry, one by one. */
  get registry(): RegistryApi {
    this.#assertOpen();
    return this.#api;
  }

  /**
   * Registers, and stays registered until `deregister()` or `close()`: renews by heartbeats, registers again where the
   * registry forgot. The process lives as long. Called again, it changes the registration. Whoever had the name before
   * loses it (and is told `superseded`).
   * @throws MembraneError `registry_unreachable` where none answers (with `retry`, never); `invalid_request`;
   * `conflict` or `cycle` where the parent cannot be; `superseded` or `removed` where this process has lost the name.
   */
  async register(options: RegisterOptions = {}): Promise<Lease> {
    this.#assertOpen();
    const lease = await this.#own.register(options, true);
    this.#finder.noteOwnChange(this.id, lease.revision);
    return lease;
  }

  /**
   * Registers in the background, as the configuration says, and leaves when the process ends: by itself, or by SIGTERM
   * or SIGINT where the program has no handler. It neither delays nor ends nor holds the process; events tell what
   * becomes of it.
   * @returns false where the configuration switches it off, or where a parent process has made this very registration.
   */
  autoRegister(): boolean {
    this.#assertOpen();
    if (this.#forgetAuto !== undefined) return true;
    if (!this.options.autoRegister || process.env[REGISTERED_VARIABLE] === this.#name) return false;
    const takeBackMark = this.#markRegistered();
    const takeBackFarewell = beforeProcessEnds((signal) => this.close({ signal }));
    this.#forgetAuto = () => {
      this.#forgetAuto = undefined;
      takeBackMark();
      takeBackFarewell();
    };
    this.#own.register({ retry: true }, false).catch((error: unknown) => {
      // What a registry refused has been told; this is what none was asked.
      if (this.#closing !== undefined || this.#own.state !== 'unregistered') return;
      this.#tell('registrationFailed', { error: toMembraneError(error), willRetry: false });
    });
    return true;
  }

  /**
   * Ends the registration of this client's id, and stops keeping it. One that is gone already is no error where this
   * client made it.
   * @throws MembraneError `not_registered`; `superseded` or `lease_token_required` where another process holds the name
   * (`force` ends that one too).
   */
  async deregister(options: DeregisterOptions = {}): Promise<void> {
    this.#assertOpen();
    this.#forgetAuto?.();
    this.#finder.forget(this.id);
    this.#finder.noteOwnChange(this.id, await this.#own.deregister(options));
  }

  /**
   * Renews the lease now, beside the heartbeats that are sent anyway.
   * @throws MembraneError `not_registered`, `superseded`, `removed` or `lease_token_required`.
   */
  async heartbeat(call: CallOptions = {}): Promise<void> {
    this.#assertOpen();
    await this.#own.heartbeat(call);
  }

  /**
   * Finds a membrane by its id; undefined where there is none. Answers are remembered for a while (`cache`); where no
   * registry answers, an older one serves and says so (`isStale`).
   * @throws MembraneError `registry_unreachable`, `invalid_request`.
   */
  async discover(id: string, options?: DiscoverOptions): Promise<FoundMembrane | undefined> {
    this.#assertOpen();
    return this.#finder.discover(id, options);
  }

  /**
   * What is known of an id at this moment, without asking: undefined where that is nothing. With `cache: 'watch'` that is
   * what the registry has, a moment ago; without, nothing.
   */
  peek(id: string): FoundMembrane | undefined {
    return this.#finder.peek(id);
  }

  /**
   * Chooses one of the instances of an id, by the client's strategy unless `strategy` says another; with a `key`, the
   * same one for the same key. Unwell instances, and those that drain, are passed over as long as there are others.
   * Undefined where there is no such membrane. To have it learn from what you do there, use `use`.
   * @throws MembraneError as `discover`; `invalid_request` for what is no strategy.
   */
  async pick(id: string, options: PickOptions = {}): Promise<Membrane | undefined> {
    this.#assertOpen();
    return this.#finder.pick(id, options);
  }

  /**
   * Chooses an instance as `pick` does, and works with it: how long that takes, and whether it fails, is remembered, so
   * that slow instances get less and failing ones none for a while.
   * @returns what `work` returns.
   * @throws MembraneError `not_found` where there is no such membrane; what `work` throws.
   */
  async use<Result>(
    id: string,
    work: (instance: Membrane) => Promise<Result>,
    options: UseOptions = {},
  ): Promise<Result> {
    this.#assertOpen();
    return this.#finder.use(id, work, options);
  }

  /** What is below a membrane, itself at the top, or without an id all trees of the namespace. */
  async tree(id?: string, options: TreeOptions = {}): Promise<MembraneTree[]> {
    this.#assertOpen();
    const { depth, ...call } = options;
    return this.#api.tree({ id, depth }, call);
  }

  /** The parent of a membrane, this one unless an id is given; undefined for a root, or where it is not there. */
  async parent(id = this.id, call?: CallOptions): Promise<FoundMembrane | undefined> {
    const parent = (await this.discover(id, call))?.parent ?? null;
    return parent === null ? undefined : this.discover(parent, call);
  }

  /** The children of a membrane, this one unless an id is given: one record an instance. */
  async children(id = this.id, call?: CallOptions): Promise<Membrane[]> {
    return this.listMembranes({ parent: id }, call);
  }

  /** Those above a membrane, this one unless an id is given, the parent first; as far up as they are there. */
  async ancestors(id = this.id, call?: CallOptions): Promise<FoundMembrane[]> {
    this.#assertOpen();
    return this.#finder.ancestors(id, call);
  }

  /**
   * Gives a membrane another parent, null for none; what is below it comes along. What it asked for when it registered
   * stays, so that it does not undo this by registering again.
   * @throws MembraneError `not_found`, `cycle`; `conflict` where it would be too deep, or is not of `ifRevision`.
   */
  async move(id: string, parent: string | null, options: TreeChangeOptions = {}): Promise<void> {
    this.#assertOpen();
    const { ifRevision, ...call } = options;
    const request = { id, parent, ...(ifRevision === undefined ? {} : { ifRevision }) };
    this.#finder.noteOwnChange(id, (await this.#api.move(request, call)).revision);
  }

  /** Ends a membrane; its children and its messages belong to its parent. Its holder is told `removed`. */
  async dissolve(id: string, options: TreeChangeOptions = {}): Promise<void> {
    this.#assertOpen();
    const { ifRevision, ...call } = options;
    const request = { id, ...(ifRevision === undefined ? {} : { ifRevision }) };
    this.#finder.noteOwnChange(id, (await this.#api.dissolve(request, call)).revision);
  }

  /**
   * Ends a membrane; its children go to the siblings that `heirs` names for them, the others to its parent, its messages
   * to the first sibling that is named.
   */
  async divide(
    id: string,
    heirs: Readonly<Record<string, string>>,
    options: TreeChangeOptions = {},
  ): Promise<void> {
    this.#assertOpen();
    const { ifRevision, ...call } = options;
    const request = { id, heirs: { ...heirs }, ...(ifRevision === undefined ? {} : { ifRevision }) };
    this.#finder.noteOwnChange(id, (await this.#api.divide(request, call)).revision);
  }

  /** Takes a membrane, or one instance, out of service, or back: it stays registered, and gets nothing new. */
  async drain(id: string, options: DrainOptions = {}): Promise<void> {
    this.#assertOpen();
    const { enabled = true, instanceId, reason, ...call } = options;
    const request = {
      id,
      enabled,
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(reason === undefined ? {} : { reason }),
    };
    this.#finder.noteOwnChange(id, (await this.#api.drain(request, call)).revision);
  }

  /**
   * All membranes of the namespace that fit; `iterateMembranes` holds one page at a time. With `cache: 'watch'` they come
   * from the replica, which is stale only where no registry answers (`replicaStatus` says so).
   */
  async listMembranes(filter: ListFilter = {}, call?: CallOptions): Promise<Membrane[]> {
    this.#assertOpen();
    return this.#finder.list(filter, call);
  }

  iterateMembranes(filter: ListFilter = {}, call?: CallOptions): AsyncIterable<Membrane> {
    this.#assertOpen();
    return this.#api.iterateMembranes(filter, call);
  }

  /**
   * The changes of the registry as they happen, through lost connections and restarts: each once, in order. A change
   * with `event: 'reset'` says that some were missed, and the state must be read anew. It ends with its signal, or
   * `close()`.
   * @throws MembraneError `invalid_request` for what cannot be watched; while no registry answers it goes on trying.
   */
  watch(options: WatchOptions = {}): AsyncIterableIterator<WatchedEvent> {
    this.#assertOpen();
    checkWatchFilter(options);
    const left = new AbortController();
    const { signal } = options;
    const changes = this.#watch({
      ...options,
      signal: signal === undefined ? left.signal : AbortSignal.any([left.signal, signal]),
    });
    return {
      next: () => changes.next(),
      // Also who waits for the next change may leave at once.
      return: () => {
        left.abort();
        return changes.return(undefined);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * Calls a listener for every change, as `watch` tells of them; `onError` where a registry refuses that for good.
   * @returns what ends it.
   * @throws MembraneError `invalid_request` for what cannot be watched.
   */
  onChange(listener: (change: WatchedEvent) => void, options: OnChangeOptions = {}): () => void {
    const { onError, ...rest } = options;
    const changes = this.watch(rest);
    const tellAll = async (): Promise<void> => {
      for await (const change of changes) listener(change);
    };
    tellAll().catch((error: unknown) => {
      if (onError !== undefined && isMembraneError(error)) {
        onError(error);
        return;
      }
      // A fault of the listener, or one that nobody wants to hear of: it surfaces.
      queueMicrotask(() => {
        throw error;
      });
    });
    return () => void changes.return?.();
  }

  /** The replica that `cache: 'watch'` keeps: how much it holds, and how old that is. Undefined where there is none. */
  get replicaStatus(): ReplicaStatus | undefined {
    return this.#replica?.status;
  }

  /** Resolves when the replica that `cache: 'watch'` keeps has been read once; at once where there is none. */
  async replicaReady({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const { cache } = this.options;
    if (cache === false || cache.watch === false) return;
    this.#assertOpen();
    signal?.throwIfAborted();
    await (await this.#loadWatching()).replicaReady(signal);
  }

  /**
   * Sends a message to a membrane, by whichever way the two share: a local socket, the network, a shared volume, a
   * relay; where none leads there, the registry keeps it until the receiver collects it. Without `waitFor` it resolves
   * with the strongest outcome that the way taken gives. The payload must not be changed until then.
   * @param target `oven`, `@out` (the parent), `@in:oven` (a child), `@any:oven` (one of several instances)
   * @throws MembraneError, with what was tried in `details.attempts`: `not_found` where there is no such membrane;
   * `handler_failed`; `not_delivered` where time is up; `payload_too_large`; `invalid_request`.
   */
  async sendMessage(target: string, payload: JsonValue, options: SendOptions = {}): Promise<Delivery> {
    this.#assertOpen();
    const sender = (this.#sender ??= await (await this.#loadMessaging()).sender());
    return sender.send(target, payload, options);
  }

  /**
   * Sends a message, and resolves with what its handler returned; null where that was nothing.
   * @throws MembraneError as `sendMessage`.
   */
  async request(target: string, payload: JsonValue, options: SendOptions = {}): Promise<JsonValue> {
    this.#assertOpen();
    return (await (await this.#loadMessaging()).sender()).request(target, payload, options);
  }

  /**
   * Sends a message to everybody that a target means, and reports what became of it at each.
   * @param target `@in*` (all children), `@siblings`, `@subtree`, `@subtree:oven`, `@all:oven` (every instance), or one
   * @throws MembraneError `invalid_request`, `registry_unreachable`: where nobody knows who is meant.
   */
  async broadcast(target: string, payload: JsonValue, options: SendOptions = {}): Promise<BroadcastReport> {
    this.#assertOpen();
    return (await (await this.#loadMessaging()).sender()).broadcast(target, payload, options);
  }

  /**
   * Answers a message by one of its own, of type `membrane.reply`; what a handler returns does so by itself. Where its
   * sender does not wait for it (any more), its handlers get it.
   */
  async reply(message: Message, payload: JsonValue, options: SendOptions = {}): Promise<Delivery> {
    this.#assertOpen();
    return (await (await this.#loadMessaging()).sender()).reply(message, payload, options);
  }

  /**
   * Handles the messages for this membrane that fit. A message counts as processed when the handler has returned; what
   * it returns is the reply. Where it throws, the message is tried again, then a dead letter; where it throws what
   * `giveBack` makes, the message stays where it was kept.
   * @returns what ends it.
   */
  onMessage(handler: MessageHandler, options: OnMessageOptions = {}): () => void {
    this.#assertOpen();
    const stop = this.#handlers.onMessage(handler, options);
    this.#collect();
    return stop;
  }

  /**
   * The messages for this membrane that fit, one by one: each counts as processed when the next is asked for, or the
   * loop is left. It ends with its signal, or `close()`.
   */
  messages(options: MessagesOptions = {}): AsyncIterable<Message> {
    this.#assertOpen();
    const messages = this.#handlers.messages(options);
    this.#collect();
    return messages;
  }

  /** Messages for this membrane, or of it, that were given up, the oldest first. */
  async deadLetters(options: { limit?: number } = {}): Promise<DeadLetterInfo[]> {
    this.#assertOpen();
    return (await this.#loadMessaging()).deadLetters.list(options);
  }

  /**
   * Puts dead letters back to where they died, all or those named.
   * @returns how many.
   */
  async requeueDeadLetters(messageIds?: readonly string[]): Promise<number> {
    this.#assertOpen();
    return (await this.#loadMessaging()).deadLetters.requeue({ messageIds });
  }

  /**
   * Throws dead letters away, all or those named.
   * @returns how many.
   */
  async discardDeadLetters(messageIds?: readonly string[]): Promise<number> {
    this.#assertOpen();
    return (await this.#loadMessaging()).deadLetters.discard({ messageIds });
  }

  /** What is known of this client, its lease and its registry; a registry that is away is no error here. */
  async status(call: CallOptions = {}): Promise<ClientStatus> {
    this.#assertOpen();
    const [status, membrane] = await Promise.all([
      this.#api.status(call).catch(returnMembraneError),
      this.#api.discover(this.id, call).catch(returnMembraneError),
    ]);
    const isAnswered = !isMembraneError(status);
    const isFound = membrane !== undefined && !isMembraneError(membrane);
    return {
      id: this.id,
      namespace: this.options.namespace,
      instanceId: this.#own.instanceId,
      state: this.#own.state,
      lease: this.#own.lease,
      membrane: isFound ? { ...membrane, isStale: false } : undefined,
      registry: {
        url: this.#api.url,
        urls: this.options.registryUrls,
        status: isAnswered ? status : undefined,
        error: isAnswered ? undefined : status,
      },
      settings: this.options.settings,
    };
  }

  /**
   * Variables for a child process that belongs to this membrane: its clients find the same registry, and do not
   * register the same name by `autoRegister()`.
   */
  childEnvironment(): Record<string, string> {
    const { id, namespace, instanceId, parent, communicationMode, registryUrls } = this.options;
    return {
      MEMBRANE_ID: id,
      MEMBRANE_NAMESPACE: namespace,
      MEMBRANE_INSTANCE_ID: instanceId,
      MEMBRANE_PARENT: parent ?? '',
      MEMBRANE_COMMUNICATION_MODE: communicationMode,
      MEMBRANE_REGISTRY_URL: registryUrls.join(','),
      [REGISTERED_VARIABLE]: this.#name,
    };
  }

  /** Leaves, and lets go of the connections. Idempotent; it never rejects, for a lease that is not ended lapses. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({ deregister = true, signal }: CloseOptions): Promise<void> {
    this.#forgetAuto?.();
    // What is handled, or collected, is told before the name is given up; then nobody sends to a closed door.
    const messaging = await this.#messaging?.catch(() => undefined);
    await messaging?.leave();
    await this.#own.close(deregister, signal);
    await messaging?.close(signal);
    await (await this.#watching?.catch(() => undefined))?.close();
    this.#shared.release();
  }

  async *#watch(options: WatchOptions): AsyncGenerator<WatchedEvent> {
    yield* (await this.#loadWatching()).changes(options);
  }

  #loadWatching(): Promise<Watching> {
    this.#watching ??= import('./watching/watching.js').then(({ Watching }) => {
      const { cache, namespace, timeoutMs } = this.options;
      const watching = new Watching({
        api: this.#api,
        background: new RegistryApi(this.#shared.background, { namespace, timeoutMs }),
        replica: cache === false ? false : cache.watch,
        onFailure: (error) => this.#tell('replicaFailed', error),
      });
      this.#replica = watching.replica;
      return watching;
    });
    return this.#watching;
  }

  #collect(): void {
    this.#loadMessaging()
      .then((messaging) => messaging.collect())
      .catch((error: unknown) => {
        if (this.#closing === undefined) this.#tell('receiverFailed', toMembraneError(error));
      });
  }

  #loadMessaging(): Promise<Messaging> {
    this.#messaging ??= import('./messaging/messaging.js').then(({ Messaging }) => {
      const { options } = this;
      return new Messaging({
        options,
        api: this.#api,
        finder: this.#finder,
        handlers: this.#handlers,
        balancer: this.#balancer,
        own: this.#own,
        tell: this.#tell,
        background: new RegistryApi(this.#shared.background, {
          namespace: options.namespace,
          timeoutMs: options.timeoutMs,
        }),
        isRegisteredByOthers: () => process.env[REGISTERED_VARIABLE] === this.#name,
      });
    });
    return this.#messaging;
  }

  /** For `await using`, where the language has it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #tellOfRegistration: Tell = (name, ...args) => {
    this.#messaging?.then((messaging) => messaging.noteRegistration(name)).catch(() => undefined);
    this.#tell(name, ...args);
  };

  readonly #tell: Tell = (name, ...args) => {
    try {
      (this.emit as (name: string, ...args: unknown[]) => boolean).call(this, name, ...args);
    } catch (error) {
      // A fault of the listener: it surfaces as one, and does not stop the heartbeats of all others.
      queueMicrotask(() => {
        throw error;
      });
    }
  };

  #markRegistered(): () => void {
    const before = process.env[REGISTERED_VARIABLE];
    process.env[REGISTERED_VARIABLE] = this.#name;
    return () => {
      if (process.env[REGISTERED_VARIABLE] !== this.#name) return;
      if (before === undefined) Reflect.deleteProperty(process.env, REGISTERED_VARIABLE);
      else process.env[REGISTERED_VARIABLE] = before;
    };
  }

  get #name(): string {
    const { namespace, id, instanceId } = this.options;
    return `${namespace}/${id}/${instanceId}`;
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new MembraneError('client_closed', 'this client was closed');
  }
}

/** The error that a registry is to blame for; an abort is none. */
function returnMembraneError(error: unknown): MembraneError {
  if (isMembraneError(error)) return error;
  throw error;
}
