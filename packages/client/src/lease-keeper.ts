import {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  isMembraneError,
  LIMITS,
  MembraneError,
  type CamelCased,
  type RegistrationAnswer,
} from '@membrane/protocol';
import { waitWithSignal } from './abort.js';
import { backoffMs, MAX_REGISTRATION_SPREAD_MS } from './backoff.js';
import type { Tell } from './client-events.js';
import type { Clock, Timer } from './clock.js';
import { DelayedQueue } from './delayed-queue.js';
import { KeptLease, leaseKey, type LeaseRequest } from './kept-lease.js';
import { nextAttempt } from './lease-token.js';
import type { RegistryApi } from './registry-api.js';
import { RenewalSchedule } from './renewal-schedule.js';

/** Registrations of one keeper at once, where many are to be made again. */
const MAX_REGISTRATIONS_AT_ONCE = 16;

/** A heartbeat is given up after one interval, but not sooner than this. */
const MIN_HEARTBEAT_TIMEOUT_MS = 1_000;

/** Longest delay of a timer of Node. */
const MAX_TIMER_MS = 2 ** 31 - 1;

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
  readonly #schedule: RenewalSchedule<KeptLease>;
  readonly #registrations: DelayedQueue<KeptLease>;
  #isRenewing = false;
  #timer: Timer | undefined;
  #isArming = false;
  /** Batches in a row that no registry answered. */
  #failures = 0;
  #isUnreachable = false;
  /** Deregistrations on their way, by the name that they end. */
  readonly #leaving = new Map<string, Promise<void>>();
  #holding = 0;
  #hold: NodeJS.Timeout | undefined;

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
    this.#schedule = new RenewalSchedule(parts.random);
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
        this.#changeHold(1);
      }
      return { kept: known, settled: this.#update(known, request, signal) };
    }
    if (known !== undefined) {
      if (known.tell === tell) this.#callOff(known);
      else this.#endBy(known, supersededError(request.id));
    }
    const kept = new KeptLease(request, tell, { holdsProcess, timeoutMs, clock: this.#parts.clock });
    this.#kept.set(kept.key, kept);
    if (holdsProcess) this.#changeHold(1);
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
    this.#changeHold(1);
    try {
      await waitWithSignal(kept.underWay, signal);
    } finally {
      this.#changeHold(-1);
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
      this.#noteReachable();
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
      if (isAway(error)) this.#noteUnreachable(error, kept);
      else kept.tell('registrationFailed', { error, willRetry: true });
      const { heartbeatIntervalMs: intervalMs } = kept.request;
      this.#registrations.add(kept, this.#backoffMs(kept.failures, intervalMs, error));
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
    this.#schedule.add(kept, lease.heartbeatIntervalMs, this.#parts.clock.monotonicMs());
    this.#arm();
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
    if (kept.holdsProcess) this.#changeHold(-1);
    if (this.#kept.size === 0) {
      this.#failures = 0;
      this.#isUnreachable = false;
    }
    this.#arm();
  }

  #unschedule(kept: KeptLease): void {
    if (kept.state === 'held' && kept.lease !== undefined) {
      this.#schedule.remove(kept, kept.lease.heartbeatIntervalMs);
    }
  }

  /** Sets the timer anew, once for all that changes now. */
  #arm(): void {
    if (this.#isArming) return;
    this.#isArming = true;
    queueMicrotask(() => {
      this.#isArming = false;
      this.#setTimer();
    });
  }

  #setTimer(): void {
    this.#timer?.cancel();
    const renewalMs = this.#isRenewing ? Number.POSITIVE_INFINITY : this.#schedule.nextDueMs();
    const nextMs = Math.min(renewalMs, this.#nextLapseMs());
    if (nextMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, nextMs - this.#parts.clock.monotonicMs());
    this.#timer = this.#parts.clock.setTimer(
      () => {
        this.#wake();
      },
      Math.min(Math.ceil(delayMs), MAX_TIMER_MS),
    );
  }

  #wake(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#isUnreachable) this.#noteLapsed(nowMs);
    if (!this.#isRenewing && this.#schedule.nextDueMs() <= nowMs) void this.#renewDue(nowMs);
    this.#arm();
  }

  #noteLapsed(nowMs: number): void {
    for (const kept of [...this.#kept.values()]) {
      if (kept.state !== 'held' || kept.isLapsed || kept.lapsesAtMs > nowMs) continue;
      kept.isLapsed = true;
      kept.tell('leaseLost', { reason: 'expired' });
    }
  }

  /** Leases lapse only while no registry answers: else it says itself what became of them. */
  #nextLapseMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    if (!this.#isUnreachable) return nextMs;
    for (const kept of this.#kept.values()) {
      if (kept.state === 'held' && !kept.isLapsed) nextMs = Math.min(nextMs, kept.lapsesAtMs);
    }
    return nextMs;
  }

  async #renewDue(nowMs: number): Promise<void> {
    this.#isRenewing = true;
    const shortestMs = this.#schedule.shortestIntervalMs();
    const { intervalsMs, items } = this.#schedule.takeDue(nowMs);
    try {
      for (let start = 0; start < items.length; start += LIMITS.maxHeartbeatBatch) {
        const batch = items.slice(start, start + LIMITS.maxHeartbeatBatch);
        await this.#renewBatch(batch, Math.max(MIN_HEARTBEAT_TIMEOUT_MS, shortestMs));
      }
      this.#failures = 0;
      this.#noteReachable();
    } catch (cause) {
      const error = toMembraneError(cause);
      this.#failures += 1;
      this.#noteUnreachable(error);
      const delayMs = this.#backoffMs(this.#failures, shortestMs, error);
      this.#schedule.retry(intervalsMs, this.#parts.clock.monotonicMs() + delayMs);
    } finally {
      this.#isRenewing = false;
      this.#arm();
    }
  }

  async #renewBatch(batch: readonly KeptLease[], timeoutMs: number): Promise<void> {
    const { api, leaseToken, clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const heartbeats = batch.map(({ request }) => ({
      id: request.id,
      ...(request.namespace === DEFAULT_NAMESPACE ? {} : { namespace: request.namespace }),
      ...(request.instanceId === DEFAULT_INSTANCE_ID ? {} : { instanceId: request.instanceId }),
    }));
    const { failed } = await api.heartbeatBatch({ leaseToken, heartbeats }, { timeoutMs });
    const codes = new Map(failed.map(({ index, code }) => [index, code]));
    for (const [index, kept] of batch.entries()) {
      const code = codes.get(index);
      if (code === undefined) this.#noteRenewed(kept, sentAtMs);
      else this.#noteFault(kept, code, sentAtMs);
    }
  }

  #backoffMs(failures: number, intervalMs: number, error: MembraneError): number {
    const { retryAfterMs } = error.details;
    return backoffMs({ failures, intervalMs, retryAfterMs }, this.#parts.random);
  }

  /** Tells all at first; later only who has come since, by the registration that failed. */
  #noteUnreachable(error: MembraneError, failed?: KeptLease): void {
    const isNew = !this.#isUnreachable;
    this.#isUnreachable = true;
    const concerned = isNew ? [...this.#kept.values()] : failed === undefined ? [] : [failed];
    for (const kept of concerned) {
      if (kept.isToldUnreachable) continue;
      kept.isToldUnreachable = true;
      kept.tell('registryUnreachable', error);
    }
  }

  #noteReachable(): void {
    if (!this.#isUnreachable) return;
    this.#isUnreachable = false;
    for (const kept of [...this.#kept.values()]) {
      if (!kept.isToldUnreachable) continue;
      kept.isToldUnreachable = false;
      kept.tell('registryReachable');
    }
  }

  /** One handle for the whole keeper stands for all leases that keep the process alive: no timer or socket does. */
  #changeHold(by: 1 | -1): void {
    this.#holding += by;
    if (this.#holding > 0) {
      this.#hold ??= setInterval(() => undefined, MAX_TIMER_MS);
    } else {
      clearInterval(this.#hold);
      this.#hold = undefined;
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

function toMembraneError(error: unknown): MembraneError {
  if (isMembraneError(error)) return error;
  return new MembraneError('registry_unreachable', String(error), { cause: error });
}

function supersededError(id: string): MembraneError {
  return new MembraneError('superseded', `"${id}" is held by a newer registration`);
}

function removedError(id: string): MembraneError {
  return new MembraneError('removed', `the registration of "${id}" was removed by decision`);
}
