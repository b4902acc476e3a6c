import { isMembraneError, MembraneError, type CamelCased, type RegistrationAnswer } from '@membrane/protocol';
import { waitWithSignal } from './abort.js';
import { backoffMs, MAX_REGISTRATION_SPREAD_MS } from './backoff.js';
import type { Tell } from './client-events.js';
import type { Clock, Timer } from './clock.js';
import { DelayedQueue } from './delayed-queue.js';
import { KeptLease, leaseKey, type LeaseRequest } from './kept-lease.js';
import { LeaseRenewals } from './lease-renewals.js';
import { nextAttempt } from './lease-token.js';
import { ProcessHold } from './process-hold.js';
import type { RegistryApi } from './registry-api.js';
import { RegistryOutage } from './registry-outage.js';
import { toMembraneError } from './to-membrane-error.js';

/** Registrations of one keeper at once, where many are to be made again. */
const MAX_REGISTRATIONS_AT_ONCE = 16;

export interface KeepOptions {
  readonly holdsProcess: boolean;
  /** True: a registry that is away, or cannot store, is tried until it works. */
  readonly isPatient: boolean;
  /** Of one try. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface LeaseKeeperParts {
  /** Of a connection that lets the process end. */
  readonly api: RegistryApi;
  readonly leaseToken: string;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Keeps the leases of a process at one registry alive: one timer and one batch of heartbeats a period, whatever their
 * number. What the registry forgot is registered again; what it gave to somebody else, or ended, is let go.
 */
export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  readonly #kept = new Map<string, KeptLease>();
  readonly #renewals: LeaseRenewals;
  readonly #registrations: DelayedQueue<KeptLease>;
  readonly #outage: RegistryOutage;
  readonly #hold = new ProcessHold();
  /** Deregistrations on their way, by the name that they end. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
    this.#outage = new RegistryOutage(this.#kept, parts.clock);
    this.#renewals = new LeaseRenewals(parts, {
      renewed: (kept, sentAtMs) => this.#noteRenewed(kept, sentAtMs),
      refused: (kept, code, sentAtMs) => this.#noteFault(kept, code, sentAtMs),
      answered: () => this.#outage.end(),
      unanswered: (error) => this.#outage.begin(error),
    });
    this.#registrations = new DelayedQueue((kept) => (kept.underWay = this.#tryAgain(kept)), {
      maxAtOnce: MAX_REGISTRATIONS_AT_ONCE,
      clock: parts.clock,
    });
  }

  /**
   * Registers, and keeps the lease from then on. Called again by the same teller, it changes the registration; by
   * another one of this process, it takes the name over from it.
   * @returns the lease at once, and a promise that settles with the registration. Where that rejects with a
   * MembraneError, or the signal's reason, nothing is kept; only a change that failed leaves the lease as it was.
   */
  keep(
    request: LeaseRequest,
    tell: Tell,
    { holdsProcess, isPatient, timeoutMs, signal }: KeepOptions,
  ): { kept: KeptLease; settled: Promise<void> } {
    const known = this.#kept.get(leaseKey(request));
    // One that is tried again goes on being tried, should the change be refused.
    if (known?.tell === tell && (known.state === 'held' || !isPatient)) {
      if (holdsProcess && !known.holdsProcess) {
        known.holdsProcess = true;
        this.#hold.add();
      }
      const settled = isPatient
        ? this.#updatePatiently(known, request, signal)
        : this.#update(known, request, signal);
      return { kept: known, settled };
    }
    if (known !== undefined) {
      if (known.tell === tell) this.#callOff(known);
      else this.#endBy(known, supersededError(request.id));
    }
    const kept = new KeptLease(request, tell, { holdsProcess, timeoutMs, clock: this.#parts.clock });
    this.#kept.set(kept.key, kept);
    if (holdsProcess) this.#hold.add();
    // What comes later must also arrive later.
    const before = Promise.all([known?.underWay, this.#leaving.get(kept.key)]);
    const settled = before.then(() =>
      isPatient ? this.#registerPatiently(kept, signal) : this.#registerOnce(kept, signal),
    );
    return { kept, settled };
  }

  /** Stops keeping. The lease lapses, unless it is deregistered. */
  async release(kept: KeptLease, signal?: AbortSignal): Promise<void> {
    this.#callOff(kept);
    if (kept.underWay === undefined) return;
    // A registration on its way would come after whatever is sent now. Its socket does not hold the process.
    this.#hold.add();
    try {
      await waitWithSignal(kept.underWay, signal);
    } finally {
      this.#hold.remove();
    }
  }

  /**
   * Has a lease ended that is kept no more. A registration of the same name by this process comes after it.
   * @throws MembraneError `superseded` where another client of this process keeps the name; whatever the work throws.
   */
  async leave(key: string, work: () => Promise<void>): Promise<void> {
    const keeper = this.#kept.get(key);
    if (keeper !== undefined) throw supersededError(keeper.request.id);
    const left = work();
    const quiet = left.catch(() => undefined);
    this.#leaving.set(key, quiet);
    try {
      await left;
    } finally {
      if (this.#leaving.get(key) === quiet) this.#leaving.delete(key);
    }
  }

  /** Renews one lease now. What the registry says of it counts as in any renewal, and is thrown. */
  async renew(kept: KeptLease, signal?: AbortSignal): Promise<void> {
    const { api, leaseToken, clock } = this.#parts;
    const { id, namespace, instanceId } = kept.request;
    const sentAtMs = clock.monotonicMs();
    try {
      await api.heartbeat({ id, namespace, instanceId, leaseToken }, { signal, timeoutMs: kept.timeoutMs });
      this.#noteRenewed(kept, sentAtMs);
    } catch (error) {
      if (isMembraneError(error) && !error.retryable) this.#noteFault(kept, error.code, sentAtMs);
      throw error;
    }
  }

  async #updatePatiently(
    kept: KeptLease,
    request: LeaseRequest,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (let failures = 1; ; failures += 1) {
      try {
        await this.#update(kept, request, signal);
        return;
      } catch (cause) {
        signal?.throwIfAborted();
        const error = toMembraneError(cause);
        if (hasEnded(kept) || !isWorthTrying(error, kept)) throw error;
        if (!isAway(error)) kept.tell('registrationFailed', { error, willRetry: true });
        const { heartbeatIntervalMs: intervalMs } = request;
        const { retryAfterMs } = error.details;
        await this.#pause(backoffMs({ failures, intervalMs, retryAfterMs }, this.#parts.random), signal);
        if (hasEnded(kept)) throw error;
      }
    }
  }

  async #pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      timer = this.#parts.clock.setTimer(resolve, delayMs);
    });
    try {
      await waitWithSignal(over, signal);
    } finally {
      timer?.cancel();
    }
  }

  async #update(kept: KeptLease, request: LeaseRequest, signal: AbortSignal | undefined): Promise<void> {
    const before = kept.request;
    kept.request = request;
    kept.attempt = nextAttempt();
    try {
      await this.#register(kept, signal);
      kept.first?.resolve();
      kept.first = undefined;
    } catch (error) {
      if (isMembraneError(error) && (error.code === 'superseded' || error.code === 'removed')) {
        this.#endBy(kept, error);
      } else {
        kept.request = before;
      }
      throw error;
    }
  }

  async #registerOnce(kept: KeptLease, signal: AbortSignal | undefined): Promise<void> {
    const sent = this.#register(kept, signal);
    kept.underWay = sent.catch(() => undefined);
    try {
      await sent;
    } catch (error) {
      this.#end(kept);
      throw error;
    }
  }

  #registerPatiently(kept: KeptLease, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#end(kept);
        reject(signal?.reason as Error);
      };
      const settle = (): void => signal?.removeEventListener('abort', abort);
      kept.first = {
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      if (signal?.aborted === true) {
        abort();
        return;
      }
      signal?.addEventListener('abort', abort);
      this.#registrations.add(kept, 0);
    });
  }

  async #tryAgain(kept: KeptLease): Promise<void> {
    try {
      await this.#register(kept);
      kept.first?.resolve();
      kept.first = undefined;
    } catch (cause) {
      // It ended, or another try was faster.
      if (kept.state !== 'registering') return;
      const error = toMembraneError(cause);
      if (!isWorthTrying(error, kept)) {
        this.#endBy(kept, error);
        return;
      }
      kept.failures += 1;
      if (isAway(error)) this.#outage.begin(error, kept);
      else kept.tell('registrationFailed', { error, willRetry: true });
      const { failures, request } = kept;
      const { retryAfterMs } = error.details;
      const tries = { failures, intervalMs: request.heartbeatIntervalMs, retryAfterMs };
      this.#registrations.add(kept, backoffMs(tries, this.#parts.random));
    }
  }

  async #register(kept: KeptLease, signal?: AbortSignal): Promise<void> {
    const { api, leaseToken, clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const answer = await api.register(
      { ...kept.request, leaseToken, attempt: kept.attempt },
      { signal, timeoutMs: kept.timeoutMs },
    );
    if (!hasEnded(kept)) this.#noteRegistered(kept, answer, sentAtMs);
    this.#outage.end();
  }

  #noteRegistered(kept: KeptLease, answer: CamelCased<RegistrationAnswer>, sentAtMs: number): void {
    const { success, leaseToken, ...lease } = answer;
    this.#unschedule(kept);
    this.#registrations.remove(kept);
    kept.state = 'held';
    kept.lease = Object.freeze(lease);
    kept.renewedAtMs = sentAtMs;
    kept.isLapsed = false;
    kept.failures = 0;
    this.#renewals.add(kept, lease.heartbeatIntervalMs);
    kept.tell('registered', kept.lease);
  }

  #noteRenewed(kept: KeptLease, sentAtMs: number): void {
    if (kept.state !== 'held' || kept.lease === undefined) return;
    kept.renewedAtMs = Math.max(kept.renewedAtMs, sentAtMs);
    kept.isLapsed = false;
    kept.tell('leaseRenewed', kept.lease);
  }

  /** What the registry says of a lease that it did not renew. */
  #noteFault(kept: KeptLease, code: string, sentAtMs: number): void {
    // Said before a later registration: it tells of what is no more.
    if (kept.state !== 'held' || kept.renewedAtMs > sentAtMs) return;
    // Whatever else it is, the lease may be there: the next renewal tells.
    if (!['not_registered', 'superseded', 'removed'].includes(code)) return;
    if (code === 'superseded' || code === 'removed') {
      const { id } = kept.request;
      this.#endBy(kept, code === 'superseded' ? supersededError(id) : removedError(id));
      return;
    }
    this.#unschedule(kept);
    kept.state = 'registering';
    kept.attempt = nextAttempt();
    const spreadMs = Math.min(MAX_REGISTRATION_SPREAD_MS, kept.request.heartbeatIntervalMs);
    this.#registrations.add(kept, this.#parts.random() * spreadMs);
    if (!kept.isLapsed) kept.tell('leaseLost', { reason: 'not_registered' });
  }

  #endBy(kept: KeptLease, error: MembraneError): void {
    this.#end(kept);
    kept.first?.reject(error);
    if (error.code === 'superseded' || error.code === 'removed') kept.tell(error.code, error);
    else kept.tell('registrationFailed', { error, willRetry: false });
  }

  #callOff(kept: KeptLease): void {
    this.#end(kept);
    kept.first?.reject(new MembraneError('client_closed', 'the registration was called off'));
  }

  #end(kept: KeptLease): void {
    if (kept.state === 'ended') return;
    this.#unschedule(kept);
    kept.state = 'ended';
    this.#registrations.remove(kept);
    this.#kept.delete(kept.key);
    if (kept.holdsProcess) this.#hold.remove();
    // Nobody asks any more whether it is over.
    if (this.#kept.size === 0) this.#outage.end();
  }

  #unschedule(kept: KeptLease): void {
    if (kept.state === 'held' && kept.lease !== undefined) {
      this.#renewals.remove(kept, kept.lease.heartbeatIntervalMs);
    }
  }
}

/** It may end while something is awaited, which the compiler does not see. */
function hasEnded({ state }: KeptLease): boolean {
  return state === 'ended';
}

/** No registry that could say anything of the lease. */
function isAway({ code }: MembraneError): boolean {
  return code === 'registry_unreachable' || code === 'not_ready';
}

/** A conflict or a cycle is made by others, and can go as it came. */
function isWorthTrying({ code, retryable }: MembraneError, { request }: KeptLease): boolean {
  if (code === 'cycle' && request.parent === request.id) return false;
  return retryable || code === 'conflict' || code === 'cycle' || code === 'internal_error';
}

function supersededError(id: string): MembraneError {
  return new MembraneError('superseded', `"${id}" is held by a newer registration`);
}

function removedError(id: string): MembraneError {
  return new MembraneError('removed', `the registration of "${id}" was removed by decision`);
}
