import type { WheelItem } from './expiry-wheel.js';
import { findLeaseFault, type LeaseFault } from './lease-fault.js';
import { isSilent, type Instance } from './membrane-node.js';

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
  /** First what a renewal looks at, so that it lies close together: of the instance, `tokenHash`, `incarnation`, `silent`. */
  renewedAtMs: number;
  /** True once its end is decided: renewals come too late, unless the commit fails. */
  ending: boolean;
  silent: boolean;
  readonly tokenHash: string | null;
  readonly incarnation: number;
  readonly instanceId: string;
  instance: Instance;
  readonly namespace: string;
  readonly id: string;
  /** Undefined unless it is kept beyond its end. */
  keeping: Keeping | undefined;
}

/** `recovered`: renewed after silence, and its status has to follow. */
export type Renewal = 'renewed' | 'recovered' | LeaseFault;

/** Any instance of any membrane; ids have no slash. */
export function leaseKey(namespace: string, id: string, instanceId: string): string {
  return instanceId === 'default' ? `${namespace}/${id}` : `${namespace}/${id}/${instanceId}`;
}

/** Renews, or says why not. */
export function renewLease(
  lease: Lease,
  tokenHash: string | null,
  incarnation: number | undefined,
  nowMs: number,
): Renewal {
  if (lease.ending) return 'not_registered';
  if (tokenHash !== lease.tokenHash || (incarnation !== undefined && incarnation !== lease.incarnation)) {
    const fault = findLeaseFault(lease.instance, tokenHash, incarnation);
    if (fault !== undefined) return fault;
  }
  extendLease(lease, nowMs);
  return lease.silent ? 'recovered' : 'renewed';
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
