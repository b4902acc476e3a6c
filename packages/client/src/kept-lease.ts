import type { CamelCased, RegistrationRequest } from '@membrane/protocol';
import type { Lease, Tell } from './client-events.js';
import type { Clock } from './clock.js';
import { nextAttempt } from './lease-token.js';

/** What is registered: everything but the token and the attempt, which the keeper adds. */
export type LeaseRequest = Omit<CamelCased<RegistrationRequest>, 'leaseToken' | 'attempt'> & {
  namespace: string;
  instanceId: string;
  heartbeatIntervalMs: number;
};

export interface KeptLeaseParts {
  readonly holdsProcess: boolean;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** A registration that is kept until it is released, or ended by the registry. Only its keeper changes it. */
export class KeptLease {
  request: LeaseRequest;
  readonly tell: Tell;
  /** True: the process lives as long as the lease is kept. */
  holdsProcess: boolean;
  /** Of a call that is about this lease alone. */
  readonly timeoutMs: number;
  /** Whether its teller knows that no registry answers. */
  isToldUnreachable = false;
  /** `registering`: not held yet, or no more, and tried again. */
  state: 'registering' | 'held' | 'ended' = 'registering';
  /** As last acknowledged; undefined before the first time. */
  lease: Lease | undefined;
  /** True where no renewal was acknowledged for so long that the registry may have given it up. */
  isLapsed = false;
  /** When the last acknowledged renewal was sent. */
  renewedAtMs: number;
  attempt = nextAttempt();
  /** Registrations that failed in a row. */
  failures = 0;
  /** Settles with the registration that is on its way, and never rejects. */
  underWay: Promise<void> | undefined;
  /** Settles the patient registration that waits for the first success. */
  first: { resolve: () => void; reject: (error: Error) => void } | undefined;
  readonly #clock: Clock;

  constructor(request: LeaseRequest, tell: Tell, { holdsProcess, timeoutMs, clock }: KeptLeaseParts) {
    this.request = request;
    this.tell = tell;
    this.holdsProcess = holdsProcess;
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.renewedAtMs = clock.monotonicMs();
  }

  get key(): string {
    return leaseKey(this.request);
  }

  /** Milliseconds since the last acknowledged renewal was sent. */
  get ageMs(): number {
    return this.#clock.monotonicMs() - this.renewedAtMs;
  }

  /** When the registry may have given the lease up. */
  get lapsesAtMs(): number {
    return this.renewedAtMs + (this.lease?.expiresAfterMs ?? Number.POSITIVE_INFINITY);
  }
}

export function leaseKey({
  namespace,
  id,
  instanceId,
}: Pick<LeaseRequest, 'namespace' | 'id' | 'instanceId'>): string {
  return `${namespace}/${id}/${instanceId}`;
}
