import { DEFAULT_INSTANCE_ID, DEFAULT_NAMESPACE, LIMITS, type MembraneError } from '@membrane/protocol';
import { backoffMs } from './backoff.js';
import { MAX_TIMER_MS, type Clock, type Timer } from './clock.js';
import type { KeptLease } from './kept-lease.js';
import type { RegistryApi } from './registry-api.js';
import { RenewalSchedule } from './renewal-schedule.js';
import { toMembraneError } from './to-membrane-error.js';

/** A heartbeat is given up after one interval, but not sooner than this. */
const MIN_HEARTBEAT_TIMEOUT_MS = 1_000;

export interface LeaseRenewalsParts {
  readonly api: RegistryApi;
  readonly leaseToken: string;
  readonly clock: Clock;
  readonly random: () => number;
}

/** What becomes of renewals. Times are when the heartbeat was sent. */
export interface RenewalOutcomes {
  renewed(kept: KeptLease, sentAtMs: number): void;
  refused(kept: KeptLease, code: string, sentAtMs: number): void;
  /** A registry answered all that was due. */
  answered(): void;
  unanswered(error: MembraneError): void;
}

/** Renews the leases that are held: one timer and one batch of heartbeats a period, whatever their number. */
export class LeaseRenewals {
  readonly #parts: LeaseRenewalsParts;
  readonly #outcomes: RenewalOutcomes;
  readonly #schedule: RenewalSchedule<KeptLease>;
  #isRenewing = false;
  #timer: Timer | undefined;
  #isArming = false;
  /** Batches in a row that no registry answered. */
  #failures = 0;

  constructor(parts: LeaseRenewalsParts, outcomes: RenewalOutcomes) {
    this.#parts = parts;
    this.#outcomes = outcomes;
    this.#schedule = new RenewalSchedule(parts.random);
  }

  add(kept: KeptLease, intervalMs: number): void {
    this.#schedule.add(kept, intervalMs, this.#parts.clock.monotonicMs());
    this.#arm();
  }

  remove(kept: KeptLease, intervalMs: number): void {
    this.#schedule.remove(kept, intervalMs);
    this.#arm();
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
    const nextMs = this.#schedule.nextDueMs();
    if (this.#isRenewing || nextMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, nextMs - this.#parts.clock.monotonicMs());
    this.#timer = this.#parts.clock.setTimer(
      () => {
        void this.#renewDue();
      },
      Math.min(Math.ceil(delayMs), MAX_TIMER_MS),
    );
  }

  async #renewDue(): Promise<void> {
    this.#isRenewing = true;
    const shortestMs = this.#schedule.shortestIntervalMs();
    const { intervalsMs, items } = this.#schedule.takeDue(this.#parts.clock.monotonicMs());
    try {
      for (let start = 0; start < items.length; start += LIMITS.maxHeartbeatBatch) {
        const batch = items.slice(start, start + LIMITS.maxHeartbeatBatch);
        await this.#renewBatch(batch, Math.max(MIN_HEARTBEAT_TIMEOUT_MS, shortestMs));
      }
      this.#failures = 0;
      this.#outcomes.answered();
    } catch (cause) {
      const error = toMembraneError(cause);
      this.#failures += 1;
      this.#outcomes.unanswered(error);
      const { retryAfterMs } = error.details;
      const delayMs = backoffMs(
        { failures: this.#failures, intervalMs: shortestMs, retryAfterMs },
        this.#parts.random,
      );
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
      if (code === undefined) this.#outcomes.renewed(kept, sentAtMs);
      else this.#outcomes.refused(kept, code, sentAtMs);
    }
  }
}
