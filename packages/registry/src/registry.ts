import { randomUUID } from 'node:crypto';
import { isMembraneError, MembraneError, type RegistryStatus } from '@membrane/protocol';
import { pino, type Logger } from 'pino';
import { OperatorError } from './operator-error.js';
import { SYSTEM_CLOCK, type Clock } from './clock.js';
import type { Change } from './domain/change.js';
import type { EventLogLimits } from './domain/event-log.js';
import { createHealthChecker } from './health/create-health-checker.js';
import type { HealthChecker } from './health/health-checker.js';
import type { ResolveName } from './health/name-lookup.js';
import { portOf } from './health/probe-policy.js';
import { createApp } from './http/app.js';
import { CallRunner } from './http/call-runner.js';
import { Calls } from './http/calls.js';
import { MailboxCalls } from './http/mailbox-calls.js';
import { explainListenError } from './http/listen-error.js';
import { TreeCalls } from './http/tree-calls.js';
import { HttpServer, type HttpServerOptions } from './http/server.js';
import { WatchCalls } from './http/watch-calls.js';
import { MEMORY_DATA, parseRegistryOptions, type RegistryOptions } from './options.js';
import { CommandQueue } from './service/command-queue.js';
import { LeaseTicker } from './service/lease-ticker.js';
import { MailboxService } from './service/mailbox-service.js';
import { MailboxSweeper } from './service/mailbox-sweeper.js';
import { RegistryService } from './service/registry-service.js';
import { RegistryState } from './service/registry-state.js';
import { SelfPreservation } from './service/self-preservation.js';
import { describeState } from './service/state-status.js';
import { TombstoneSweeper } from './service/tombstone-sweeper.js';
import { TreeService } from './service/tree-service.js';
import type { WatchPace } from './service/watch-hub.js';
import { Watching } from './service/watching.js';
import { removeHolder, writeHolder } from './store/holder-file.js';
import { KeyvMembraneStore } from './store/keyv-membrane-store.js';
import { MemoryMembraneStore } from './store/memory-membrane-store.js';
import type { MembraneStore } from './store/membrane-store.js';
import { openSqliteStore } from './store/sqlite-membrane-store.js';
import { VERSION } from './version.js';

/** Entry of the store that holds the registry's own name. */
const REGISTRY_KEY = 'registry';

/** A registry that can be embedded. */
export interface Registry {
  /** Where it listens; undefined until it does. */
  readonly url: string | undefined;
  /**
   * Opens the store, listens, loads. Resolves when every call is served.
   * @throws Error in words for an operator: the port is in use, the store cannot be used.
   */
  start(): Promise<void>;
  /** Takes no new connection, finishes what runs, stores it. May be called at any time, and twice. */
  stop(): Promise<void>;
}

/** What tests replace. */
export interface RegistryParts {
  readonly clock?: Clock;
  readonly store?: MembraneStore;
  readonly http?: Pick<HttpServerOptions, 'fastPath' | 'timeouts'>;
  readonly random?: () => number;
  /** How long a message that was handed out is hidden from others. */
  readonly hideMs?: number;
  readonly eventLogLimits?: EventLogLimits;
  readonly watchPace?: Partial<WatchPace>;
  readonly resolveName?: ResolveName;
}

/**
 * A registry with these options; see `RegistryOptions` for their defaults.
 * @throws MembraneError `invalid_request` for an option that cannot be used.
 */
export function createRegistry(options: Partial<RegistryOptions> = {}, parts: RegistryParts = {}): Registry {
  return new RegistryProgram(parseRegistryOptions(options), parts);
}

/** The composition root: makes the parts and hands them to each other. */
class RegistryProgram implements Registry {
  readonly #options: Readonly<RegistryOptions>;
  readonly #parts: RegistryParts;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #startedAtMs: number;
  readonly #abort = new AbortController();
  #phase: 'starting' | 'ready' | 'stopping' = 'starting';
  #starting: Promise<void> | undefined;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #running:
    | {
        store: MembraneStore;
        queue: CommandQueue;
        ticker: LeaseTicker;
        checker: HealthChecker;
        mailbox: MailboxService;
        watching: Watching;
        server: HttpServer;
      }
    | undefined;
  #storeError: Error | undefined;
  #registryId = '';
  #url: string | undefined;

  constructor(options: Readonly<RegistryOptions>, parts: RegistryParts) {
    this.#options = options;
    this.#parts = parts;
    this.#clock = parts.clock ?? SYSTEM_CLOCK;
    this.#logger = options.logger ?? pino({ level: 'silent' });
    this.#startedAtMs = this.#clock.monotonicMs();
  }

  get url(): string | undefined {
    return this.#url;
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    this.#started ??= this.#starting.catch(async (error: unknown) => {
      await this.stop();
      throw error;
    });
    return this.#started;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #start(): Promise<void> {
    const { host, port, cleanupIntervalMs: tickMs } = this.#options;
    const store = await this.#openStore();
    const state = new RegistryState({
      clock: this.#clock,
      tickMs,
      onRecovery: (namespace, id, instanceId) => {
        ticker.recover(namespace, id, instanceId);
      },
      eventLogLimits: this.#parts.eventLogLimits,
    });
    const queue = new CommandQueue({
      store,
      state: state.view,
      apply: (change, revision) => {
        state.apply(change, revision);
        mailbox.noteChange(change);
        tombstones.noteChange(change);
        watching.noteChange(change, revision);
        checker.noteChange(change);
        if (change.preservation !== undefined) this.#logPreservation(change);
      },
      onStoreHealth: (error) => {
        this.#noteStoreHealth(error);
      },
    });
    const preservation = new SelfPreservation({
      state,
      queue,
      clock: this.#clock,
      isEnabled: this.#options.selfPreservation,
    });
    const ticker = new LeaseTicker({
      state,
      queue,
      clock: this.#clock,
      tickMs,
      isStoreWritable: () => this.#storeError === undefined,
      preservation,
      sweepOthers: async () => {
        await Promise.all([sweeper.sweep(), tombstones.sweep()]);
      },
      onError: (error) => {
        this.#logger.error({ err: error }, 'a tick failed');
      },
    });
    const quotas = {
      maxMessages: this.#options.maxMailboxMessages,
      maxBytes: this.#options.maxMailboxBytes,
      maxTotalBytes: this.#options.maxTotalMailboxBytes,
    };
    const tombstones = new TombstoneSweeper({ state, queue, clock: this.#clock, quotas });
    const service = new RegistryService({
      state,
      queue,
      clock: this.#clock,
      tombstones,
      heartbeatIntervalMs: this.#options.heartbeatIntervalMs,
    });
    const treeService = new TreeService({ state, queue, clock: this.#clock });
    const { hideMs } = this.#parts;
    const mailbox = new MailboxService({ state, queue, clock: this.#clock, quotas, hideMs });
    const sweeper = new MailboxSweeper({
      state,
      queue,
      clock: this.#clock,
      quotas,
      hiddenForMs: (mail) => mailbox.hiddenForMs(mail),
    });
    const { random = Math.random } = this.#parts;
    const watching = new Watching({
      state,
      clock: this.#clock,
      random,
      maxStreams: this.#options.maxWatchStreams,
      maxBufferBytes: this.#options.maxWatchBufferBytes,
      maxTotalBufferBytes: this.#options.maxTotalWatchBufferBytes,
      pace: this.#parts.watchPace,
      onError: (error) => {
        this.#logger.error({ err: error }, 'telling of changes failed');
      },
    });
    const checker = createHealthChecker({
      state,
      queue,
      clock: this.#clock,
      random,
      options: this.#options,
      logger: this.#logger,
      isStoreWritable: () => this.#storeError === undefined,
      ownPort: () => (this.#url === undefined ? undefined : portOf(new URL(this.#url))),
      resolveName: this.#parts.resolveName,
    });
    const { hub, reads } = watching;
    const runner = new CallRunner({
      revision: () => state.revisionText,
      refusal: () => this.#findRefusal(),
      onError: (error, { method, url }) => {
        // That the store fails is said once, when it begins.
        if (!isMembraneError(error) || error.code === 'internal_error')
          this.#logger.error({ err: error, method, url }, 'a call failed');
      },
    });
    const calls = new Calls({ runner, service, reads, status: () => this.#status(store, state) });
    const mailboxCalls = new MailboxCalls({ runner, service: mailbox });
    const watchCalls = new WatchCalls({ runner, hub, reads, owns: (shown) => state.owns(shown) });
    const findUnreadiness = (): MembraneError | undefined => this.#findRefusal() ?? this.#findStoreFault();
    const treeCalls = new TreeCalls({ runner, service: treeService });
    const app = createApp({ runner, calls, mailboxCalls, treeCalls, watchCalls, findUnreadiness });
    const server = new HttpServer({
      calls,
      mailboxCalls,
      app,
      host,
      port,
      ...(this.#logger.isLevelEnabled('debug') ? { onAnswered: this.#logAnswer } : {}),
      ...this.#parts.http,
    });
    this.#running = { store, queue, ticker, checker, mailbox, watching, server };

    this.#url = await server.listen().catch((error: unknown) => {
      throw explainListenError(error, host, port);
    });
    await this.#writeHolder(this.#url);
    const others = await state.load(store, random, this.#abort.signal);
    this.#registryId = await this.#identify(store, state, others.get(REGISTRY_KEY));
    // The store remembers this run from its first commit on: the sooner the better.
    await queue.probe();
    this.#abort.signal.throwIfAborted();
    tombstones.start();
    await checker.start();
    this.#abort.signal.throwIfAborted();
    ticker.start();
    this.#phase = 'ready';
    this.#logger.info(
      {
        url: this.#url,
        registry_id: this.#registryId,
        store: store.location ?? store.kind,
        membranes: state.leases.size,
      },
      'ready',
    );
  }

  async #stop(): Promise<void> {
    this.#phase = 'stopping';
    this.#abort.abort(new OperatorError('the registry was stopped while it started'));
    await this.#starting?.catch(() => undefined);
    if (this.#running === undefined) return;
    const { store, queue, ticker, checker, mailbox, watching, server } = this.#running;
    mailbox.stop();
    watching.stop();
    await Promise.all([server.close(), checker.stop()]);
    await ticker.stop();
    await queue.idle();
    await store.close();
    if (this.#ownsDirectory) await removeHolder(this.#options.data);
    this.#logger.info('stopped');
  }

  get #ownsDirectory(): boolean {
    return (
      this.#parts.store === undefined &&
      this.#options.keyv === undefined &&
      this.#options.data !== MEMORY_DATA
    );
  }

  async #openStore(): Promise<MembraneStore> {
    const { keyv, data } = this.#options;
    if (this.#parts.store !== undefined) return this.#parts.store;
    if (keyv !== undefined) return new KeyvMembraneStore(keyv);
    return data === MEMORY_DATA ? new MemoryMembraneStore() : openSqliteStore(data);
  }

  async #writeHolder(url: string): Promise<void> {
    if (this.#ownsDirectory) await writeHolder(this.#options.data, { pid: process.pid, url });
  }

  /** The name given now, else the one kept with the data, else a new one; kept. */
  async #identify(
    store: MembraneStore,
    state: RegistryState,
    kept: { id?: unknown } | undefined,
  ): Promise<string> {
    const id = this.#options.registryId ?? (typeof kept?.id === 'string' ? kept.id : randomUUID());
    if (kept?.id !== id) {
      const [result] = await store.commit([{ puts: [{ key: REGISTRY_KEY, value: { id } }], deletes: [] }]);
      if (result !== undefined) state.noteRevision(result.revision);
    }
    return id;
  }

  readonly #logAnswer: NonNullable<HttpServerOptions['onAnswered']> = (
    { method, url },
    { statusCode },
    ms,
  ) => {
    this.#logger.debug({ method, url, status: statusCode, ms: Math.round(ms) }, 'answered');
  };

  #findRefusal(): MembraneError | undefined {
    if (this.#phase === 'ready') return undefined;
    const reason = this.#phase === 'starting' ? 'is loading its data' : 'is shutting down';
    return new MembraneError('not_ready', `the registry ${reason}`, { details: { retryAfterMs: 1_000 } });
  }

  #findStoreFault(): MembraneError | undefined {
    if (this.#storeError === undefined) return undefined;
    return new MembraneError('store_unavailable', 'the store cannot write', {
      details: { retryAfterMs: 1_000 },
    });
  }

  #noteStoreHealth(error: Error | undefined): void {
    if (error !== undefined && this.#storeError === undefined) {
      this.#logger.error(
        { err: error },
        'the store fails: changes are refused, leases are held, reads go on',
      );
    } else if (error === undefined && this.#storeError !== undefined) {
      this.#logger.info('the store works again');
    }
    this.#storeError = error;
  }

  #logPreservation({ events }: Change): void {
    for (const { event, namespace, id, preservation } of events) {
      const fields = { namespace, subtree: id, ...preservation };
      if (event === 'preservation_started') {
        this.#logger.warn(fields, 'most of a subtree is silent: nobody there is removed for now');
      } else {
        this.#logger.info(fields, 'the preservation of a subtree is over');
      }
    }
  }

  #status(store: MembraneStore, state: RegistryState): RegistryStatus {
    return {
      registry_id: this.#registryId,
      version: VERSION,
      peer_count: 0,
      uptime: Math.round(this.#clock.monotonicMs() - this.#startedAtMs) / 1_000,
      store: { kind: store.kind, location: store.location, writable: this.#storeError === undefined },
      ...describeState(state, this.#options.selfPreservation),
      watch: this.#running?.watching.describe(),
      health_checks: this.#running?.checker.describe(),
    };
  }
}
