import type { MembraneError } from '@membrane/protocol';
import { MAX_TIMER_MS, type Clock, type Timer } from './clock.js';
import type { KeptLease } from './kept-lease.js';

/**
 * The time in which no registry answers: tells every lease once that it began and that it is over, and which leases
 * lapse meanwhile. While a registry answers it says itself what became of a lease.
 */
export class RegistryOutage {
  readonly #leases: ReadonlyMap<string, KeptLease>;
  readonly #clock: Clock;
  #hasBegun = false;
  #timer: Timer | undefined;

  /** @param leases all that are kept, at any time */
  constructor(leases: ReadonlyMap<string, KeptLease>, clock: Clock) {
    this.#leases = leases;
    this.#clock = clock;
  }

  /** Tells all at first; later only who has come since, by the registration that failed. */
  begin(error: MembraneError, failed?: KeptLease): void {
    const concerned = this.#hasBegun ? [failed] : [...this.#leases.values()];
    if (!this.#hasBegun) this.#awaitLapse();
    this.#hasBegun = true;
    for (const kept of concerned) {
      if (kept === undefined || kept.isToldUnreachable) continue;
      kept.isToldUnreachable = true;
      kept.tell('registryUnreachable', error);
    }
  }

  end(): void {
    if (!this.#hasBegun) return;
    this.#hasBegun = false;
    this.#timer?.cancel();
    for (const kept of [...this.#leases.values()]) {
      if (!kept.isToldUnreachable) continue;
      kept.isToldUnreachable = false;
      kept.tell('registryReachable');
    }
  }

  /** A timer for the lease that lapses next. No lease is gained while no registry answers. */
  #awaitLapse(): void {
    this.#timer?.cancel();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const kept of this.#leases.values()) {
      if (isPending(kept)) nextMs = Math.min(nextMs, kept.lapsesAtMs);
    }
    if (nextMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, nextMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.setTimer(
      () => {
        this.#noteLapsed();
        this.#awaitLapse();
      },
      Math.min(Math.ceil(delayMs), MAX_TIMER_MS),
    );
  }

  #noteLapsed(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const kept of [...this.#leases.values()]) {
      if (!isPending(kept) || kept.lapsesAtMs > nowMs) continue;
      kept.isLapsed = true;
      kept.tell('leaseLost', { reason: 'expired' });
    }
  }
}

function isPending({ state, isLapsed }: KeptLease): boolean {
  return state === 'held' && !isLapsed;
}
