import { findLeaseFault, findMissingLeaseFault, type LeaseFault } from './lease-fault.js';
import { findEnded, findInstance, type Instance, type MembraneNode } from './membrane-node.js';
import type { Collector } from './hand-outs.js';

/** Why somebody may not collect or acknowledge, or undefined: the token must fit a live instance, or the one named. */
export function findAccessFault(
  node: MembraneNode | undefined,
  { instanceId, tokenHash }: Collector,
): LeaseFault | undefined {
  if (instanceId !== undefined) {
    const live = findInstance(node, instanceId);
    if (live !== undefined) return findLeaseFault(live, tokenHash, undefined);
    return findMissingLeaseFault(findEnded(node, instanceId), tokenHash);
  }
  const faults = (node?.instances ?? []).map((live) => findLeaseFault(live, tokenHash, undefined));
  if (faults.includes(undefined)) return undefined;
  const ended = node?.ended.find((other) => tokenHash !== null && other.tokenHash === tokenHash);
  return faults[0] ?? findMissingLeaseFault(ended, tokenHash);
}

/** The live registration by which somebody collects, of whom nothing speaks against it. */
export function findAccess(
  node: MembraneNode | undefined,
  { instanceId, tokenHash }: Collector,
): Instance | undefined {
  if (instanceId !== undefined) return findInstance(node, instanceId);
  return node?.instances.find((live) => findLeaseFault(live, tokenHash, undefined) === undefined);
}

/**
 * Whether a message may go to a collector. One that was meant for an instance goes to any other only when that one is
 * away. An instance that drains gets what was meant for it alone, as long as another one is well.
 */
export function mayHaveMailOf(
  node: MembraneNode | undefined,
  meantFor: string | undefined,
  { instanceId, tokenHash }: Collector,
): boolean {
  const live = meantFor === undefined ? undefined : findInstance(node, meantFor);
  if (live === undefined) return !isSpared(node, { instanceId, tokenHash });
  if (meantFor === instanceId) return true;
  return instanceId === undefined && findLeaseFault(live, tokenHash, undefined) === undefined;
}

function isSpared(node: MembraneNode | undefined, { instanceId, tokenHash }: Collector): boolean {
  const own = (node?.instances ?? []).filter((live) =>
    instanceId === undefined
      ? findLeaseFault(live, tokenHash, undefined) === undefined
      : live.instanceId === instanceId,
  );
  const isDraining = own.length > 0 && own.every(({ drain }) => drain !== null);
  return isDraining && node?.instances.some(({ status }) => status === 'active') === true;
}
