import { ExpiryWheel } from './expiry-wheel.js';
import { dueAtMs, type Lease } from './lease.js';
import type { Instance } from './membrane-node.js';
import type { PlaceTable } from './place-table.js';

/** Looks at leases that the decision on one takes the time of. */
const DUE_COST = 10;

/**
 * Who is alive, by the lease clock. Renewing writes one number; the wheel finds out when it next looks at the lease.
 */
export class LeaseTable {
  readonly #places: PlaceTable;
  readonly #wheel: ExpiryWheel<Lease>;
  #size = 0;

  /** `tickMs` is how often `advance` is going to be called. */
  constructor(places: PlaceTable, tickMs: number, nowMs: number) {
    this.#places = places;
    this.#wheel = new ExpiryWheel(tickMs, nowMs);
  }

  get size(): number {
    return this.#size;
  }

  get(namespace: string, id: string, instanceId: string): Lease | undefined {
    const place = this.#places.find(namespace, id);
    if (place === undefined) return undefined;
    const { lease } = place;
    return lease?.instanceId === instanceId ? lease : place.otherLeases?.get(instanceId);
  }

  /** A new lease, or a new incarnation of one, renewed at `renewedAtMs`. */
  begin(namespace: string, id: string, instance: Instance, renewedAtMs: number): void {
    this.end(namespace, id, instance.instanceId);
    const { silent, tokenHash, incarnation } = instance;
    const lease: Lease = {
      renewedAtMs,
      ending: false,
      silent,
      tokenHash,
      incarnation,
      instanceId: instance.instanceId,
      instance,
      namespace,
      id,
      keeping: undefined,
      bucket: undefined,
      position: 0,
    };
    this.#add(lease);
    this.#wheel.schedule(lease, dueAtMs(lease));
  }

  /** The same lease, of the same incarnation, with another state: its pace or status may have changed, so it is looked at anew. */
  update(lease: Lease, instance: Instance): void {
    lease.instance = instance;
    lease.silent = instance.silent;
    this.#wheel.schedule(lease, dueAtMs(lease));
  }

  end(namespace: string, id: string, instanceId: string): void {
    const lease = this.get(namespace, id, instanceId);
    if (lease === undefined) return;
    this.#remove(lease);
    this.#wheel.remove(lease);
  }

  /**
   * Leases whose time has come, to be decided by the caller, after looking at no more than `budget` of them; one that is
   * due counts as `DUE_COST`. They are out of the wheel: `update`, `end` or `restore` must follow. `done` is false where
   * the budget ended it.
   */
  advance(nowMs: number, budget: number): { due: Lease[]; done: boolean } {
    const due: Lease[] = [];
    const done = this.#wheel.advance(nowMs, budget, (lease) => {
      const atMs = dueAtMs(lease);
      if (atMs > nowMs) {
        this.#wheel.schedule(lease, atMs);
        return 1;
      }
      due.push(lease);
      return DUE_COST;
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
    const place = this.#places.at(lease.namespace, lease.id);
    if (place.lease === undefined) place.lease = lease;
    else (place.otherLeases ??= new Map<string, Lease>()).set(lease.instanceId, lease);
    this.#size += 1;
  }

  #remove(lease: Lease): void {
    const { namespace, id, instanceId } = lease;
    const place = this.#places.find(namespace, id);
    if (place === undefined) return;
    if (place.lease === lease) place.lease = undefined;
    else place.otherLeases?.delete(instanceId);
    if (place.otherLeases?.size === 0) place.otherLeases = undefined;
    this.#places.release(namespace, id, place);
    this.#size -= 1;
  }
}
