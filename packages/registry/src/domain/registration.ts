import { LIMITS, MembraneError, type ErrorCode } from '@membrane/protocol';
import type { Decision } from './change.js';
import {
  findEnded,
  findInstance,
  MAX_REPLACED_TOKENS,
  NONE_ENDED,
  PENDING_REVISION,
  RETENTION_MS,
  statusOf,
  type Instance,
  type MembraneNode,
} from './membrane-node.js';
import type { StateView } from './state-view.js';
import { isClaimed } from './tombstone-sweep.js';
import { ancestorsOf, isTooDeep, meantBy, parentOf } from './tree-walk.js';

/** How long a registrant should wait for a dissolved membrane's last things: it was dissolved just now. */
const RETRY_AFTER_MS = 1_000;

/** What a registrant says of itself. */
export type InstanceDescription = Pick<
  Instance,
  | 'endpoint'
  | 'communicationMode'
  | 'endpoints'
  | 'healthCheckUrl'
  | 'metadata'
  | 'weight'
  | 'relay'
  | 'heartbeatIntervalMs'
>;

export interface RegistrationCommand {
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
  readonly parent: string | null;
  readonly description: InstanceDescription;
  readonly tokenHash: string | null;
  /** Undefined counts as higher than any before it. */
  readonly attempt: number | undefined;
}

/** The registration as it is now; its revisions are pending where the decision changes something. */
export interface RegistrationOutcome {
  /** Where it stands. */
  readonly parent: string | null;
  readonly instance: Instance;
}

/**
 * A registration with a token known to the instance is the same registration; any other replaces it under a new
 * incarnation. Tokens once replaced, and registrations ended by decision, stay out.
 */
export function decideRegistration(
  view: StateView,
  command: RegistrationCommand,
  nowMs: number,
): Decision<RegistrationOutcome> {
  const { namespace, id, instanceId, tokenHash } = command;
  const node = view.node(namespace, id);
  if (node?.tombstone != null && isClaimed(view, namespace, id)) {
    // Whoever names the dissolved membrane means its heir, not this one: they are rewritten first.
    const message = `what the dissolved membrane "${id}" left is being handed to its heir; try again`;
    const error = new MembraneError('not_ready', message, { details: { retryAfterMs: RETRY_AFTER_MS } });
    return { kind: 'refused', error };
  }
  const live = findInstance(node, instanceId);
  const same = live !== undefined && tokenHash !== null && live.tokenHash === tokenHash;
  if (same && node !== undefined && command.attempt !== undefined && command.attempt <= live.attempt) {
    return { kind: 'unchanged', outcome: { parent: parentOf(view, node), instance: live } };
  }
  if (!same) {
    const fenced = findFence(node, command, nowMs);
    if (fenced !== undefined) return { kind: 'refused', error: fenced };
    if (live === undefined && (node?.instances.length ?? 0) >= LIMITS.maxInstancesPerId) {
      return refuse(
        'conflict',
        `"${id}" has ${LIMITS.maxInstancesPerId} live instances, which is the most one id can have`,
      );
    }
  }

  // One that was dissolved has no place to come back to.
  const standing = node?.tombstone == null ? node : undefined;
  const before = standing === undefined ? undefined : ancestorsOf(view, standing);
  const place = decidePlace(view, standing, before, command);
  if (place instanceof MembraneError) return { kind: 'refused', error: place };

  // A process that is back after silence drains as before; another one in its place does not.
  const ended = findEnded(node, instanceId);
  const drain = tokenHash !== null && ended?.tokenHash === tokenHash ? ended.drain : null;
  // What a check of another address said is void.
  const failingCheck =
    same && live.healthCheckUrl === command.description.healthCheckUrl ? live.failingCheck : null;
  const instance: Instance = same
    ? {
        ...live,
        ...command.description,
        status: statusOf({ silent: false, failingCheck, drain: live.drain }),
        silent: false,
        failingCheck,
        attempt: command.attempt ?? Math.min(live.attempt + 1, Number.MAX_SAFE_INTEGER),
        revision: PENDING_REVISION,
      }
    : {
        instanceId,
        ...command.description,
        status: statusOf({ silent: false, failingCheck, drain }),
        silent: false,
        failingCheck,
        drain,
        registeredAtMs: nowMs,
        tokenHash,
        attempt: command.attempt ?? 0,
        replacedTokenHashes: replacedBy(command, live, ended),
        incarnation: PENDING_REVISION,
        revision: PENDING_REVISION,
      };
  const after = withInstance(node, command, place, instance);
  const moved = before !== undefined && (before[0] ?? null) !== place;
  return {
    kind: 'changed',
    outcome: { parent: place, instance },
    change: {
      atMs: nowMs,
      nodes: [{ before: node, after }],
      events: [
        {
          event: same ? (moved ? 'moved' : 'updated') : 'registered',
          namespace,
          id,
          instanceId,
          parent: place,
          instance,
          ...(before === undefined ? {} : { before }),
          after: moved || before === undefined ? ancestorsOf(view, { namespace, id, parent: place }) : before,
        },
      ],
    },
  };
}

function refuse(code: ErrorCode, message: string): { kind: 'refused'; error: MembraneError } {
  return { kind: 'refused', error: new MembraneError(code, message) };
}

/** Why this token may not register the id any more, or undefined. */
function findFence(
  node: MembraneNode | undefined,
  command: RegistrationCommand,
  nowMs: number,
): MembraneError | undefined {
  const { id, instanceId, tokenHash, attempt } = command;
  if (tokenHash === null) return undefined;
  const live = findInstance(node, instanceId);
  const ended = findEnded(node, instanceId);
  if (
    live?.replacedTokenHashes.includes(tokenHash) === true ||
    ended?.replacedTokenHashes.includes(tokenHash) === true
  ) {
    return new MembraneError(
      'superseded',
      `"${id}" was taken over by a newer registration; this token cannot take it back`,
    );
  }
  if (ended?.tokenHash !== tokenHash || nowMs - ended.endedAtMs >= RETENTION_MS) return undefined;
  if (ended.reason === 'removed') {
    return new MembraneError('removed', `the registration of "${id}" by this token was removed by decision`);
  }
  if (ended.reason === 'departed' && attempt !== undefined && attempt <= ended.attempt) {
    return new MembraneError('removed', `this registration of "${id}" was ended by its own deregistration`);
  }
  return undefined;
}

/** The tokens that the new registration shuts out, newest first. */
function replacedBy(
  command: RegistrationCommand,
  live: Pick<Instance, 'tokenHash' | 'replacedTokenHashes'> | undefined,
  ended: Pick<Instance, 'tokenHash' | 'replacedTokenHashes'> | undefined,
): readonly string[] {
  const previous = live ?? ended;
  if (previous === undefined) return [];
  const hashes = [previous.tokenHash, ...previous.replacedTokenHashes];
  return hashes
    .filter((hash): hash is string => hash !== null && hash !== command.tokenHash)
    .slice(0, MAX_REPLACED_TOKENS);
}

/** The parent it is to have, or why it cannot have it. */
function decidePlace(
  view: StateView,
  node: MembraneNode | undefined,
  ancestorsNow: readonly string[] | undefined,
  command: RegistrationCommand,
): string | null | MembraneError {
  const { namespace, id, instanceId, parent: asked } = command;
  // Where it names one that was dissolved it means the heir.
  const parent = meantBy(view, namespace, asked);
  if (node !== undefined) {
    const parentNow = ancestorsNow?.[0] ?? null;
    if (asked === node.requestedParent || parent === parentNow) return parentNow;
    const other = node.instances.find((instance) => instance.instanceId !== instanceId);
    if (other !== undefined) {
      return new MembraneError(
        'conflict',
        `instance "${other.instanceId}" of "${id}" named the parent ${quote(node.requestedParent)}; all instances of an id share one, got ${quote(asked)}`,
      );
    }
  }
  const ancestors = ancestorsOf(view, { namespace, id, parent });
  if (ancestors.includes(id)) {
    return new MembraneError(
      'cycle',
      `"${id}" cannot have the parent ${quote(parent)}, which stands below it`,
    );
  }
  if (isTooDeep(view, namespace, id, ancestors.length)) {
    return new MembraneError(
      'conflict',
      `under the parent ${quote(parent)} the tree would be deeper than ${LIMITS.maxTreeDepth} levels`,
    );
  }
  return parent;
}

const quote = (id: string | null): string => (id === null ? 'none' : `"${id}"`);

function withInstance(
  node: MembraneNode | undefined,
  command: RegistrationCommand,
  parent: string | null,
  instance: Instance,
): MembraneNode {
  if (node === undefined) {
    return {
      namespace: command.namespace,
      id: command.id,
      parent,
      requestedParent: command.parent,
      tombstone: null,
      createdRevision: PENDING_REVISION,
      revision: PENDING_REVISION,
      vacantSinceMs: null,
      instances: [instance],
      ended: NONE_ENDED,
    };
  }
  // A replica that names where they all stand leaves what the others asked for.
  const isAlone = node.instances.every((other) => other.instanceId === instance.instanceId);
  const requestedParent = isAlone ? command.parent : node.requestedParent;
  const nodeChanges =
    node.parent !== parent || node.requestedParent !== requestedParent || node.vacantSinceMs !== null;
  // A new incarnation is the youngest, so it goes last; an update keeps its place.
  const instances =
    instance.incarnation === PENDING_REVISION
      ? [...node.instances.filter((other) => other.instanceId !== instance.instanceId), instance]
      : node.instances.map((other) => (other.instanceId === instance.instanceId ? instance : other));
  return {
    ...node,
    parent,
    requestedParent,
    tombstone: null,
    vacantSinceMs: null,
    revision: nodeChanges ? PENDING_REVISION : node.revision,
    instances,
    ended: node.ended.filter((ended) => ended.instanceId !== instance.instanceId),
  };
}
