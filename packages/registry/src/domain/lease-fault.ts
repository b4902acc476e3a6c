import { MembraneError } from '@membrane/protocol';
import type { EndedInstance, Instance } from './membrane-node.js';

/** Why a call about a lease is not the holder's. */
export type LeaseFault = 'not_registered' | 'superseded' | 'lease_token_required' | 'removed';

/** Why a token and an incarnation do not fit a live lease, or undefined where they do. */
export function findLeaseFault(
  lease: Pick<Instance, 'tokenHash' | 'replacedTokenHashes' | 'incarnation'>,
  tokenHash: string | null,
  incarnation: number | undefined,
): LeaseFault | undefined {
  // Also where a registration without a token replaced it: that one is open to all but those it shut out.
  if (tokenHash !== null && lease.replacedTokenHashes.includes(tokenHash)) return 'superseded';
  if (lease.tokenHash !== null && lease.tokenHash !== tokenHash) {
    return tokenHash === null ? 'lease_token_required' : 'superseded';
  }
  if (incarnation === undefined || incarnation === lease.incarnation) return undefined;
  return incarnation < lease.incarnation ? 'superseded' : 'not_registered';
}

/** Why there is no live lease to act on, as the holder of this token is told. */
export function findMissingLeaseFault(
  ended: EndedInstance | undefined,
  tokenHash: string | null,
): LeaseFault {
  if (ended === undefined || tokenHash === null) return 'not_registered';
  if (ended.replacedTokenHashes.includes(tokenHash)) return 'superseded';
  return ended.tokenHash === tokenHash && ended.reason === 'removed' ? 'removed' : 'not_registered';
}

export function toLeaseError(fault: LeaseFault, id: string): MembraneError {
  return new MembraneError(fault, EXPLANATIONS[fault](id));
}

const EXPLANATIONS: Record<LeaseFault, (id: string) => string> = {
  lease_token_required: (id) => `"${id}" was registered with a lease token: show it`,
  superseded: (id) => `"${id}" is held by a newer registration`,
  removed: (id) => `the registration of "${id}" by this token was removed by decision`,
  not_registered: (id) => `this registration of "${id}" does not exist, or no more: register again`,
};
