import type { CamelCased, Envelope, MembraneError, RegistrationAnswer } from '@membrane/protocol';

/** A registration as the registry acknowledged it. Times in milliseconds. */
export type Lease = Readonly<Omit<CamelCased<RegistrationAnswer>, 'success' | 'leaseToken'>>;

/** Why a lease is held no more: the registry does not know it, or could not be told of it for `expiresAfterMs`. */
export type LossReason = 'not_registered' | 'expired';

/** What a client tells of by `on()`, with the arguments of the listener. */
export interface ClientEvents {
  /** The registry acknowledged the registration: the first, a changed one, or one that it had lost. */
  registered: [lease: Lease];
  /** A heartbeat was acknowledged. */
  leaseRenewed: [lease: Lease];
  /** The name may be free, or another's. The client goes on trying to get it back. */
  leaseLost: [loss: { reason: LossReason }];
  /** A newer registration has the name. The client has stopped. */
  superseded: [error: MembraneError];
  /** Somebody ended the registration by decision. The client has stopped. */
  removed: [error: MembraneError];
  /** The registry refused, or could not store, a registration that was tried in the background. */
  registrationFailed: [failure: { error: MembraneError; willRetry: boolean }];
  /** No registry can be reached, told once; heartbeats and registrations are tried again. */
  registryUnreachable: [error: MembraneError];
  /** After `registryUnreachable`: one answers again. */
  registryReachable: [];
  /** Messages cannot be received by some way, or any more, and why. */
  receiverFailed: [error: MembraneError];
  /** The replica of `cache: 'watch'` could not be read, and why; it is tried again. */
  replicaFailed: [error: MembraneError];
  /** A message of this client was given up: what it was, as it stands on the wire, and why. */
  deadLetter: [letter: { envelope: Envelope; error: MembraneError }];
}

/** Tells listeners of an event; whatever they throw does not come back. */
export type Tell = <Name extends keyof ClientEvents>(name: Name, ...args: ClientEvents[Name]) => void;
