import type { CommunicationMode, JsonObject, MembraneStatus } from '@membrane/protocol';
import type { Tombstone } from './tombstone.js';

/**
 * Stands for the revision of a commit that has not happened: `stampNode` replaces it. In a node or an instance
 * it also marks what a change has to write.
 */
export const PENDING_REVISION = 0;

export interface Endpoint {
  readonly mode: CommunicationMode;
  readonly address: string;
  readonly realm?: string;
}

/** An operator's decision that an instance gets nothing new. */
export interface Drain {
  readonly reason: string | null;
  /** Wall clock, epoch milliseconds. */
  readonly sinceMs: number;
}

/** Why an instance that may well renew does not count as healthy. */
export interface FailingCheck {
  /** What its health check came to. */
  readonly reason: string;
  /** Wall clock, epoch milliseconds. */
  readonly sinceMs: number;
}

/** One live registration of an id. Immutable: a change makes a new one. */
export interface Instance {
  readonly instanceId: string;
  readonly endpoint: string;
  readonly communicationMode: CommunicationMode;
  /** Null: the primary one, `endpoint`, alone. */
  readonly endpoints: readonly Endpoint[] | null;
  readonly healthCheckUrl: string | null;
  readonly metadata: JsonObject;
  readonly weight: number;
  readonly relay: boolean;
  readonly heartbeatIntervalMs: number;
  /** What `statusOf` makes of the three below: bad health shows even where it drains. */
  readonly status: MembraneStatus;
  /** Unhealthy for it has not renewed: this, and nothing else, leads to its end. */
  readonly silent: boolean;
  /** Null unless its health check fails. */
  readonly failingCheck: FailingCheck | null;
  /** Null unless it drains. */
  readonly drain: Drain | null;
  /** Wall clock, epoch milliseconds. */
  readonly registeredAtMs: number;
  /** Hash of the lease token; null for a registration without one. */
  readonly tokenHash: string | null;
  readonly attempt: number;
  /** Hashes of the tokens this name was taken over from, newest first. */
  readonly replacedTokenHashes: readonly string[];
  /** Revision of the commit that made this registration: the fencing number. */
  readonly incarnation: number;
  /** Revision of its last change. */
  readonly revision: number;
}

/**
 * Why a registration ended: by its holder, by somebody else's decision, or by silence.
 */
export type EndReason = 'departed' | 'removed' | 'expired';

/** What is remembered of a registration that ended, so that a late call of it has no effect. */
export interface EndedInstance {
  readonly instanceId: string;
  readonly reason: EndReason;
  readonly tokenHash: string | null;
  readonly attempt: number;
  readonly replacedTokenHashes: readonly string[];
  /** A process that comes back still drains. */
  readonly drain: Drain | null;
  /** Wall clock, epoch milliseconds. */
  readonly endedAtMs: number;
  readonly revision: number;
}

/** An id and its place in the tree, with the instances registered under it. Immutable. */
export interface MembraneNode {
  readonly namespace: string;
  readonly id: string;
  /** As it is written down: the parent that counts is that of `parentOf`. Null where it was dissolved. */
  readonly parent: string | null;
  /** What its registrant asked for: repeating it does not undo an operator's move. */
  readonly requestedParent: string | null;
  /** Null unless it was dissolved or divided and has not been registered since: then it is in no tree. */
  readonly tombstone: Tombstone | null;
  /** Unique within the registry, so it orders the nodes. */
  readonly createdRevision: number;
  readonly revision: number;
  /** When its last instance went (wall clock, epoch milliseconds); null while it has one. */
  readonly vacantSinceMs: number | null;
  /** Oldest incarnation first. */
  readonly instances: readonly Instance[];
  readonly ended: readonly EndedInstance[];
}

/** How many replaced tokens are remembered: older ones can only come from processes long gone. */
export const MAX_REPLACED_TOKENS = 8;
/** How long an ended registration and an empty node are remembered. */
export const RETENTION_MS = 24 * 60 * 60 * 1_000;
/** Ended registrations remembered of one id: replicas with random instance ids must not fill the store. */
const MAX_ENDED_PER_ID = 256;
/** The same for those that somebody ended: they must not come back, so of these whole ids at once have room. */
const MAX_REMOVED_PER_ID = 4_096;

export function findInstance(node: MembraneNode | undefined, instanceId: string): Instance | undefined {
  return node?.instances.find((instance) => instance.instanceId === instanceId);
}

export function findEnded(node: MembraneNode | undefined, instanceId: string): EndedInstance | undefined {
  return node?.ended.find((ended) => ended.instanceId === instanceId);
}

/** Nothing ended, for every node of which that is so. */
export const NONE_ENDED: readonly EndedInstance[] = Object.freeze([]);

/** The instance that stands for the id: the healthiest, among those the oldest. Undefined where none is live. */
export function findPrimary(node: MembraneNode): Instance | undefined {
  return (
    node.instances.find((instance) => instance.status === 'active') ??
    node.instances.find((instance) => instance.status === 'draining') ??
    node.instances.find((instance) => !isSilent(instance)) ??
    node.instances[0]
  );
}

/** True where it is unhealthy by silence, not by its health check alone: its lease is on the way to its end. */
export function isSilent({ silent }: Pick<Instance, 'silent'>): boolean {
  return silent;
}

/** What an instance shows. */
export function statusOf({
  silent,
  failingCheck,
  drain,
}: Pick<Instance, 'silent' | 'failingCheck' | 'drain'>): MembraneStatus {
  if (silent || failingCheck !== null) return 'unhealthy';
  return drain === null ? 'active' : 'draining';
}

function stampInstance(instance: Instance, revision: number): Instance {
  if (instance.revision !== PENDING_REVISION) return instance;
  return {
    ...instance,
    revision,
    incarnation: instance.incarnation === PENDING_REVISION ? revision : instance.incarnation,
  };
}

/** The node as the commit of `revision` leaves it. */
export function stampNode(node: MembraneNode, revision: number): MembraneNode {
  return {
    ...node,
    createdRevision: node.createdRevision === PENDING_REVISION ? revision : node.createdRevision,
    revision: node.revision === PENDING_REVISION ? revision : node.revision,
    instances: node.instances.map((instance) => stampInstance(instance, revision)),
    ended: node.ended.some((ended) => ended.revision === PENDING_REVISION)
      ? node.ended.map((ended) => (ended.revision === PENDING_REVISION ? { ...ended, revision } : ended))
      : node.ended,
  };
}

/** Of each kind the latest, as many as are remembered. */
function isAmongLatest({ reason }: EndedInstance, index: number, all: readonly EndedInstance[]): boolean {
  const max = reason === 'removed' ? MAX_REMOVED_PER_ID : MAX_ENDED_PER_ID;
  if (all.length - index <= max) return true;
  let later = 0;
  for (let at = index + 1; at < all.length; at += 1) {
    if ((all[at]?.reason === 'removed') === (reason === 'removed')) later += 1;
  }
  return later < max;
}

/**
 * The node after one of its instances ended. What is remembered: a token that must not act again, and whatever
 * tokens it had replaced.
 */
export function endInstance(
  node: MembraneNode,
  instance: Instance,
  reason: EndReason,
  nowMs: number,
): MembraneNode {
  const instances = node.instances.filter((other) => other !== instance);
  const remembered =
    (instance.tokenHash !== null && (reason !== 'expired' || instance.drain !== null)) ||
    instance.replacedTokenHashes.length > 0;
  const vacated = instances.length === 0;
  return {
    ...node,
    instances,
    ...(vacated ? { vacantSinceMs: nowMs, revision: PENDING_REVISION } : {}),
    ended: remembered
      ? [
          ...node.ended,
          {
            instanceId: instance.instanceId,
            reason,
            tokenHash: instance.tokenHash,
            attempt: instance.attempt,
            replacedTokenHashes: instance.replacedTokenHashes,
            drain: instance.drain,
            endedAtMs: nowMs,
            revision: PENDING_REVISION,
          },
        ].filter(isAmongLatest)
      : node.ended,
  };
}
