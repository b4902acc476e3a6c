import {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  heartbeatBatchSchema,
  validate,
  type Heartbeat,
  type HeartbeatBatchAnswer,
} from '@membrane/protocol';
import { findMissingLeaseFault, type LeaseFault } from '../domain/lease-fault.js';
import { renewLease, type Lease } from '../domain/lease.js';
import { findEnded } from '../domain/membrane-node.js';
import { readKnownBatch } from './known-leases.js';
import { hashToken } from './lease-token.js';
import type { RegistryState } from './registry-state.js';

/** Renews leases in memory, one or many. */
export class LeaseRenewal {
  readonly #state: RegistryState;

  constructor(state: RegistryState) {
    this.#state = state;
  }

  /** What keeps it from being renewed, or undefined. */
  renew(heartbeat: Heartbeat, tokenHash: string | null): LeaseFault | undefined {
    return this.#renew(heartbeat, tokenHash, this.#state.leaseNowMs());
  }

  /**
   * Renews many; what fails is listed and stops nothing.
   * @throws MembraneError `invalid_request`, and then nothing was renewed.
   */
  renewBatch(body: object): HeartbeatBatchAnswer {
    const { leases } = this.#state;
    const { batch, leases: known } = readKnownBatch(body, leases) ?? {
      batch: validate(heartbeatBatchSchema, body, 'body'),
      leases: [],
    };
    const nowMs = this.#state.leaseNowMs();
    const batchHash = hashToken(batch.lease_token);
    const failed: HeartbeatBatchAnswer['failed'] = [];
    for (let index = 0; index < batch.heartbeats.length; index += 1) {
      const heartbeat = batch.heartbeats[index];
      const lease = known[index];
      if (heartbeat === undefined) continue;
      const code =
        lease === undefined
          ? this.#renew(heartbeat, hashToken(heartbeat.lease_token) ?? batchHash, nowMs)
          : this.#renewKnown(lease, batchHash, heartbeat.incarnation, nowMs);
      if (code !== undefined) failed.push({ index, id: heartbeat.id, code });
    }
    return { success: failed.length === 0, renewed: batch.heartbeats.length - failed.length, failed };
  }

  #renew(heartbeat: Heartbeat, tokenHash: string | null, nowMs: number): LeaseFault | undefined {
    const namespace = heartbeat.namespace ?? DEFAULT_NAMESPACE;
    const instanceId = heartbeat.instance_id ?? DEFAULT_INSTANCE_ID;
    const { id, incarnation } = heartbeat;
    const lease = this.#state.leases.get(namespace, id, instanceId);
    if (lease !== undefined) return this.#renewKnown(lease, tokenHash, incarnation, nowMs);
    return this.#explainMissing(namespace, id, instanceId, tokenHash);
  }

  #renewKnown(
    lease: Lease,
    tokenHash: string | null,
    incarnation: number | null | undefined,
    nowMs: number,
  ): LeaseFault | undefined {
    const renewal = renewLease(lease, tokenHash, incarnation ?? undefined, nowMs);
    if (renewal === 'renewed') return undefined;
    const { namespace, id, instance } = lease;
    if (renewal === 'not_registered') {
      return this.#explainMissing(namespace, id, instance.instanceId, tokenHash);
    }
    if (renewal !== 'recovered') return renewal;
    this.#state.recover(namespace, id, instance.instanceId);
    return undefined;
  }

  #explainMissing(namespace: string, id: string, instanceId: string, tokenHash: string | null): LeaseFault {
    if (tokenHash === null) return 'not_registered';
    const ended = findEnded(this.#state.directory.node(namespace, id), instanceId);
    return findMissingLeaseFault(ended, tokenHash);
  }
}
