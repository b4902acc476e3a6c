import { ExpiryWheel, type WheelItem } from './expiry-wheel.js';
import { findLeaseFault, type LeaseFault } from './lease-fault.js';
import { isSilent, type Instance } from './membrane-node.js';
import { ShardedMap } from './sharded-map.js';

/** Silence of this many intervals makes a lease unhealthy, then ends it. */
export const UNHEALTHY_AFTER_INTERVALS = 2;
export const EXPIRED_AFTER_INTERVALS = 5;
/** The same where self-preservation keeps it. */
export const REMOVED_AFTER_INTERVALS = 15;

/** How a lease goes on that is silent beyond its end. */
export interface Keeping {
  /** When it is looked at again. */
  readonly untilMs: number;
  /** Nothing speaks for it any more: this is its last time. */
  readonly isLast: boolean;
}

/** The right of one instance to its name, as long as it renews. Times are those of the lease clock. */
export interface Lease extends WheelItem {
  readonly namespace: string;
  readonly id: string;
  instance: Instance;
  renewedAtMs: number;
  /** True once its end is decided: renewals come too late, unless the commit fails. */
  ending: boolean;
  /** Undefined unless it is kept beyond its end. */
  keeping: Keeping | undefined;
}

/** `recovered`: renewed after silence, and its status has to follow. */
export type Renewal = 'renewed' | 'recovered' | LeaseFault;

/** Any instance of any membrane; ids have no slash. */
export function leaseKey(namespace: string, id: string, instanceId: string): string {
  return instanceId === 'default' ? `${namespace}/${id}` : `${namespace}/${id}/${instanceId}`;
}

/** Nearly every id has one instance: only where there are several is there a map of them. */
type LeasesOfId = Lease | Map<string, Lease>;

/**
 * Who is alive, by the lease clock. Renewing writes one number; the wheel finds out when it next looks at the lease.
 */
export class LeaseTable {
  /** By namespace, then by id. */
  readonly #namespaces = new Map<string, ShardedMap<LeasesOfId>>();
  readonly #wheel: ExpiryWheel<Lease>;
  #size = 0;

  /** `tickMs` is how often `advance` is going to be called. */
  constructor(tickMs: number, nowMs: number) {
    this.#wheel = new ExpiryWheel(tickMs, nowMs);
  }

  get size(): number {
    return this.#size;
  }

  get(namespace: string, id: string, instanceId: string): Lease | undefined {
    const found = this.#namespaces.get(namespace)?.get(id);
    if (found instanceof Map) return found.get(instanceId);
    return found?.instance.instanceId === instanceId ? found : undefined;
  }

  /** A new lease, or a new incarnation of one, renewed at `renewedAtMs`. */
  begin(namespace: string, id: string, instance: Instance, renewedAtMs: number): void {
    this.end(namespace, id, instance.instanceId);
    const lease: Lease = {
      namespace,
      id,
      instance,
      renewedAtMs,
      ending: false,
      keeping: undefined,
      bucket: undefined,
      position: 0,
    };
    this.#add(lease);
    this.#wheel.schedule(lease, dueAtMs(lease));
  }

  /** The same lease with another state; its pace or status may have changed, so it is looked at anew. */
  update(lease: Lease, instance: Instance): void {
    lease.instance = instance;
    this.#wheel.schedule(lease, dueAtMs(lease));
  }

  end(namespace: string, id: string, instanceId: string): void {
    const lease = this.get(namespace, id, instanceId);
    if (lease === undefined) return;
    this.#remove(lease);
    this.#wheel.remove(lease);
  }

  /**
   * Leases whose time has come, to be decided by the caller, after looking at no more than `budget` of them. They
   * are out of the wheel: `update`, `end` or `restore` must follow. `done` is false where the budget ended it.
   */
  advance(nowMs: number, budget: number): { due: Lease[]; done: boolean } {
    const due: Lease[] = [];
    const done = this.#wheel.advance(nowMs, budget, (lease) => {
      const atMs = dueAtMs(lease);
      if (atMs <= nowMs) due.push(lease);
      else this.#wheel.schedule(lease, atMs);
    });
    return { due, done };
  }

  /** Puts a lease back whose transition was not needed, or could not be committed. */
  restore(lease: Lease): void {
    lease.ending = false;
    if (this.isCurrent(lease)) this.#wheel.schedule(lease, dueAtMs(lease));
  }

  /** False where it has ended, or another one has taken its place. */
  isCurrent(lease: Lease): boolean {
    return this.get(lease.namespace, lease.id, lease.instance.instanceId) === lease;
  }

  #add(lease: Lease): void {
    const { namespace, id, instance } = lease;
    let leases = this.#namespaces.get(namespace);
    if (leases === undefined) {
      leases = new ShardedMap();
      this.#namespaces.set(namespace, leases);
    }
    const found = leases.get(id);
    if (found === undefined) leases.set(id, lease);
    else if (found instanceof Map) found.set(instance.instanceId, lease);
    else leases.set(id, new Map([[found.instance.instanceId, found], [instance.instanceId, lease]]));
    this.#size += 1;
  }

  #remove({ namespace, id, instance }: Lease): void {
    const leases = this.#namespaces.get(namespace);
    const found = leases?.get(id);
    if (leases === undefined || found === undefined) return;
    if (found instanceof Map) found.delete(instance.instanceId);
    if (!(found instanceof Map) || found.size === 0) leases.delete(id);
    if (leases.size === 0) this.#namespaces.delete(namespace);
    this.#size -= 1;
  }
}

/** Renews, or says why not. */
export function renewLease(
  lease: Lease,
  tokenHash: string | null,
  incarnation: number | undefined,
  nowMs: number,
): Renewal {
  if (lease.ending) return 'not_registered';
  const fault = findLeaseFault(lease.instance, tokenHash, incarnation);
  if (fault !== undefined) return fault;
  extendLease(lease, nowMs);
  return isSilent(lease.instance) ? 'recovered' : 'renewed';
}

/**
 * The holder is alive at `nowMs`. Never shortens a term: the one given after a restart begins in the future, and the
 * wheel looks at the lease no earlier.
 */
export function extendLease(lease: Lease, nowMs: number): void {
  if (nowMs > lease.renewedAtMs) lease.renewedAtMs = nowMs;
}

/** The next moment at which silence changes something. */
export function dueAtMs(lease: Lease): number {
  const { instance, renewedAtMs, keeping } = lease;
  const isDown = isSilent(instance);
  const intervals = isDown ? EXPIRED_AFTER_INTERVALS : UNHEALTHY_AFTER_INTERVALS;
  const dueMs = renewedAtMs + intervals * instance.heartbeatIntervalMs;
  return isDown && keeping !== undefined ? Math.max(dueMs, keeping.untilMs) : dueMs;
}
