import {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  heartbeatBatchSchema,
  heartbeatSchema,
  LIMITS,
  type HeartbeatBatch,
} from '@membrane/protocol';
import type { Lease } from '../domain/lease.js';
import type { LeaseTable } from '../domain/lease-table.js';

/** A valid batch, and the leases that it names, in its order: undefined where it takes more to find out. */
export interface KnownBatch {
  readonly batch: HeartbeatBatch;
  readonly leases: readonly (Lease | undefined)[];
}

const headSchema = heartbeatBatchSchema.omit({ heartbeats: true });

/**
 * Reads a batch of heartbeats that came as JSON. A name that is found is valid, so of most entries nothing need be
 * validated, which would take four fifths of the time. Undefined where the schema would refuse it.
 */
export function readKnownBatch(body: object, table: LeaseTable): KnownBatch | undefined {
  const { heartbeats } = body as { heartbeats?: unknown };
  if (
    !Array.isArray(heartbeats) ||
    heartbeats.length > LIMITS.maxHeartbeatBatch ||
    !headSchema.safeParse(body).success
  ) {
    return undefined;
  }
  const leases: (Lease | undefined)[] = [];
  for (const entry of heartbeats as unknown[]) {
    const lease = findPlain(entry, table);
    if (lease === undefined && !heartbeatSchema.safeParse(entry).success) return undefined;
    leases.push(lease);
  }
  return { batch: body as HeartbeatBatch, leases };
}

/** The lease of an entry that has no token of its own, as nearly all. */
function findPlain(entry: unknown, table: LeaseTable): Lease | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { id, namespace, instance_id, incarnation, lease_token } = entry as Record<string, unknown>;
  const space = namespace ?? DEFAULT_NAMESPACE;
  const instanceId = instance_id ?? DEFAULT_INSTANCE_ID;
  if (typeof id !== 'string' || typeof space !== 'string' || typeof instanceId !== 'string') return undefined;
  const isPlain = lease_token == null && (incarnation == null || isIncarnation(incarnation));
  return isPlain ? table.get(space, id, instanceId) : undefined;
}

function isIncarnation(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
