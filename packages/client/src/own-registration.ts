import { isMembraneError, MembraneError, type CommunicationMode, type JsonObject } from '@membrane/protocol';
import type { Lease, Tell } from './client-events.js';
import { makeInbox, resolveEndpoint, type Endpoint } from './endpoint.js';
import { waitWithSignal } from './abort.js';
import { leaseKey, type KeptLease, type LeaseRequest } from './kept-lease.js';
import { processLeaseToken } from './lease-token.js';
import { parseMetadata, type ClientOptions } from './options.js';
import type { CallOptions, RegistryApi } from './registry-api.js';
import type { LeaseKeeper } from './lease-keeper.js';

/** What `register()` may say differently from the client's options. */
export interface RegisterOptions {
  parent?: string | null | undefined;
  /** Address at which the program itself receives, in place of this client; a URL implies `network`. */
  endpoint?: string | undefined;
  communicationMode?: CommunicationMode | undefined;
  metadata?: JsonObject | undefined;
  instanceId?: string | undefined;
  /** Share of the load among the instances of the id: 0 to 1,000. */
  weight?: number | undefined;
  /** Offers to pass messages on between its children and the outside. */
  relay?: boolean | undefined;
  healthCheckUrl?: string | undefined;
  heartbeatIntervalMs?: number | undefined;
  /** True: a registry that is away is tried until it answers, in place of a rejection. */
  retry?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface DeregisterOptions extends CallOptions {
  /** What becomes of the membranes below: `keep` (they stay, detached) or `cascade` (they go too). */
  children?: 'keep' | 'cascade' | undefined;
  /** Ends the registration whoever holds it; the holder is told that it was removed. */
  force?: boolean | undefined;
}

/**
 * `unregistered`: not asked to be, or left. `registering`: asked, or lost, and tried again. `held`: acknowledged.
 * `lapsed`: held, but no registry heard of it for so long that the name may be free. The others say why it ended.
 */
export type RegistrationState =
  'unregistered' | 'registering' | 'held' | 'lapsed' | 'superseded' | 'removed' | 'refused';

export interface OwnRegistrationParts {
  readonly options: ClientOptions;
  readonly api: RegistryApi;
  readonly keeper: LeaseKeeper;
  readonly tell: Tell;
  /** Opens what this client receives by; what is open already stays. */
  readonly openReceivers: (instanceId: string) => Promise<readonly Endpoint[]>;
}

/** The registration of one client: registered, changed and ended one after the other. */
export class OwnRegistration {
  readonly #parts: OwnRegistrationParts;
  readonly #leaseToken: string;
  #kept: KeptLease | undefined;
  /** Of the registration that was asked for last. */
  #instanceId: string;
  #outcome: 'superseded' | 'removed' | 'refused' | undefined;
  /** False where the registry certainly has nothing by this client. */
  #mayBeRegistered = false;
  #turn: Promise<unknown> = Promise.resolve();
  /** Of the registrations under way. */
  readonly #callOffs = new Set<AbortController>();

  constructor(parts: OwnRegistrationParts) {
    this.#parts = parts;
    this.#leaseToken = parts.options.leaseToken ?? processLeaseToken();
    this.#instanceId = parts.options.instanceId;
  }

  get state(): RegistrationState {
    if (this.#outcome !== undefined) return this.#outcome;
    if (this.#kept === undefined || this.#kept.state === 'ended') return 'unregistered';
    return this.#kept.isLapsed ? 'lapsed' : this.#kept.state;
  }

  get instanceId(): string {
    return this.#instanceId;
  }

  /** True where it offered to pass messages on. */
  get isRelay(): boolean {
    return this.#kept?.request.relay === true;
  }

  /** As last acknowledged, with the time since its last acknowledged renewal was sent. */
  get lease(): (Lease & { readonly ageMs: number }) | undefined {
    const kept = this.#kept;
    if (kept?.lease === undefined || kept.state === 'ended') return undefined;
    return { ...kept.lease, ageMs: kept.ageMs };
  }

  async register(options: RegisterOptions, holdsProcess: boolean): Promise<Lease> {
    const callOff = new AbortController();
    const abort = (): void => {
      callOff.abort(options.signal?.reason);
    };
    options.signal?.throwIfAborted();
    options.signal?.addEventListener('abort', abort);
    this.#callOffs.add(callOff);
    const isPatient = options.retry === true;
    try {
      const { kept, settled } = await this.#inTurn(async () => {
        this.#assertSameInstance(options.instanceId ?? this.#parts.options.instanceId);
        const request = await this.#describe(options);
        callOff.signal.throwIfAborted();
        this.#instanceId = request.instanceId;
        this.#outcome = undefined;
        this.#mayBeRegistered = true;
        const begun = this.#parts.keeper.keep(request, this.#tell, {
          holdsProcess,
          isPatient,
          timeoutMs: this.#parts.options.timeoutMs,
          signal: callOff.signal,
        });
        this.#kept = begun.kept;
        // One that is tried for long does not hold up what may call it off.
        if (!isPatient) await begun.settled;
        return begun;
      });
      await settled;
      // What settled without an error has been acknowledged.
      return kept.lease as Lease;
    } finally {
      this.#callOffs.delete(callOff);
      options.signal?.removeEventListener('abort', abort);
    }
  }

  /** @returns the revision of its end; undefined where it had gone already. */
  async deregister(options: DeregisterOptions): Promise<number | undefined> {
    this.#callOffAll('the registration was called off');
    return waitWithSignal(
      this.#inTurn(() => this.#deregister(options)),
      options.signal,
    );
  }

  async heartbeat({ signal }: CallOptions): Promise<void> {
    if (this.#kept?.state === 'held') {
      await this.#parts.keeper.renew(this.#kept, signal);
      return;
    }
    const { id, namespace } = this.#parts.options;
    await this.#parts.api.heartbeat(
      { id, namespace, instanceId: this.instanceId, leaseToken: this.#leaseToken },
      { signal },
    );
  }

  /** Ends it, or leaves it to lapse; never rejects. */
  async close(deregister: boolean, signal: AbortSignal | undefined): Promise<void> {
    this.#callOffAll('this client was closed');
    try {
      const closed = this.#inTurn(async () => {
        await (deregister && this.#mayBeRegistered ? this.#deregister({ signal }) : this.#release(signal));
      });
      await waitWithSignal(closed, signal);
    } catch {
      // Then it lapses.
    }
  }

  async #deregister({ children, force, ...call }: DeregisterOptions): Promise<number | undefined> {
    const { id, namespace } = this.#parts.options;
    const { instanceId } = this;
    const wasOurs = this.#mayBeRegistered;
    await this.#release(call.signal);
    this.#outcome = undefined;
    let revision: number | undefined;
    const send = async (): Promise<void> => {
      const request = { id, namespace, instanceId, leaseToken: this.#leaseToken, children, force };
      ({ revision } = await this.#parts.api.deregister(request, call));
    };
    try {
      await (force === true
        ? send()
        : this.#parts.keeper.leave(leaseKey({ id, namespace, instanceId }), send));
    } catch (error) {
      const isGone =
        isMembraneError(error) && ['not_registered', 'superseded', 'removed'].includes(error.code);
      if (!wasOurs || force === true || !isGone) throw error;
    }
    this.#mayBeRegistered = false;
    return revision;
  }

  async #release(signal: AbortSignal | undefined): Promise<void> {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) await this.#parts.keeper.release(kept, signal);
  }

  /** One client keeps one registration: it would lose sight of the other instance, and never end it. */
  #assertSameInstance(instanceId: string): void {
    if (instanceId === this.#instanceId || this.#kept === undefined || this.#kept.state === 'ended') return;
    throw new MembraneError(
      'invalid_request',
      `instanceId must stay "${this.#instanceId}" while that is registered (deregister first, or use another client); got "${instanceId}"`,
    );
  }

  async #describe(options: RegisterOptions): Promise<LeaseRequest> {
    const own = this.#parts.options;
    const isModeChosen =
      options.communicationMode !== undefined ||
      own.settings.some(({ name, source }) => name === 'communicationMode' && source !== 'default');
    const { id, namespace, sharedRoot } = own;
    const instanceId = options.instanceId ?? own.instanceId;
    const resolved = await resolveEndpoint({
      endpoint: options.endpoint,
      communicationMode: options.communicationMode ?? own.communicationMode,
      isModeChosen,
      open: own.receive ? () => this.#parts.openReceivers(instanceId) : undefined,
      inbox: () => makeInbox({ id, namespace, instanceId, sharedRoot }),
    });
    return {
      id,
      namespace,
      instanceId,
      parent: options.parent === undefined ? own.parent : options.parent,
      ...resolved,
      metadata: options.metadata === undefined ? own.metadata : parseMetadata(options.metadata),
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? own.heartbeatIntervalMs,
      ...(options.weight === undefined ? {} : { weight: options.weight }),
      ...(options.relay === undefined ? {} : { relay: options.relay }),
      ...(options.healthCheckUrl === undefined ? {} : { healthCheckUrl: options.healthCheckUrl }),
    };
  }

  readonly #tell: Tell = (name, ...args) => {
    if (name === 'superseded' || name === 'removed') {
      this.#outcome = name;
      this.#mayBeRegistered = false;
    } else if (name === 'registrationFailed' && !(args[0] as { willRetry: boolean }).willRetry) {
      this.#outcome = 'refused';
    }
    this.#parts.tell(name, ...args);
  };

  #callOffAll(why: string): void {
    for (const callOff of this.#callOffs) callOff.abort(new MembraneError('client_closed', why));
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
