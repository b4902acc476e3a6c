import { MembraneError } from '@membrane/protocol';
import type { MembraneNode } from './membrane-node.js';

/** The revision of the last change that its records show; of its place, where nobody is registered. */
export function revisionOf({ instances, revision }: MembraneNode): number {
  return instances.length === 0 ? revision : Math.max(...instances.map((instance) => instance.revision));
}

/** Why a change that was meant for one state of a membrane does not fit the present one, or undefined. */
export function findRevisionFault(
  node: MembraneNode,
  ifRevision: number | undefined,
): MembraneError | undefined {
  const revision = revisionOf(node);
  if (ifRevision === undefined || ifRevision === revision) return undefined;
  const message = `must be the revision of "${node.id}", ${revision}; got ${ifRevision}`;
  return new MembraneError('conflict', `if_revision ${message}`, {
    details: { errors: [{ path: 'if_revision', message }] },
  });
}
