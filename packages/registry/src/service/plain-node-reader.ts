import {
  membraneIdSchema,
  namespaceSchema,
  type CommunicationMode,
  type JsonObject,
} from '@membrane/protocol';
import { NONE_ENDED, type MembraneNode } from '../domain/membrane-node.js';
import type { StoredEntry } from '../store/membrane-store.js';
import { TextPool } from './text-pool.js';
import { INLINE_INSTANCE_ID, NO_HASHES, NO_METADATA, NODE_PREFIX, USUAL_WEIGHT } from './state-rows.js';

const MODES: ReadonlySet<unknown> = new Set<CommunicationMode>(['shared-volume', 'network', 'ipc']);

/** Metadata within these is valid, whatever is in it: a character has six bytes at most, as `\u0001`. */
const MAX_PLAIN_KEYS = 16;
const MAX_PLAIN_CHARACTERS = 80;

/** The fields that a plain row may have: with any other it is not plain. */
const NODE_FIELDS: ReadonlySet<string> = new Set(['live', 'parent', 'createdRevision', 'revision']);
const LIVE_FIELDS: ReadonlySet<string> = new Set([
  'endpoint',
  'communicationMode',
  'heartbeatIntervalMs',
  'status',
  'registeredAtMs',
  'metadata',
  'incarnation',
  'tokenHash',
  'attempt',
  'revision',
]);

/**
 * Reads the rows of nodes that have one active instance with nothing unusual about it, as nearly all: by hand, since the
 * schema takes ten times as long, and a million rows are to be read within seconds. It accepts nothing that the schema
 * would refuse, and leaves the rest to it.
 */
export class PlainNodeReader {
  /** The last ones, which the next row is likely to share: they need not be checked again. */
  #namespace: string | undefined;
  #parent: string | undefined;
  readonly #parents = new TextPool();
  readonly #tokenHashes = new TextPool();

  read({ key, value, revision }: StoredEntry): MembraneNode | undefined {
    const row = value as Record<string, unknown> | null;
    if (typeof row !== 'object' || row === null || !hasOnly(row, NODE_FIELDS)) return undefined;
    const live = readLive(row.live, revision, this.#tokenHashes);
    const createdRevision = row.createdRevision ?? revision;
    const ownRevision = row.revision ?? revision;
    if (live === undefined || !isRevision(createdRevision) || !isRevision(ownRevision)) return undefined;
    const slash = key.indexOf('/', NODE_PREFIX.length);
    const namespace = slash === -1 ? undefined : this.#readNamespace(key.slice(NODE_PREFIX.length, slash));
    const id = key.slice(slash + 1);
    const parent = row.parent === undefined ? null : this.#readParent(row.parent);
    if (namespace === undefined || !membraneIdSchema.safeParse(id).success || parent === undefined)
      return undefined;
    return {
      namespace,
      id: copyText(id),
      parent,
      requestedParent: parent,
      tombstone: null,
      createdRevision,
      revision: ownRevision,
      vacantSinceMs: null,
      instances: [live],
      ended: NONE_ENDED,
    };
  }

  #readNamespace(name: string): string | undefined {
    if (name !== this.#namespace) {
      if (!namespaceSchema.safeParse(name).success) return undefined;
      this.#namespace = copyText(name);
    }
    return this.#namespace;
  }

  #readParent(name: unknown): string | undefined {
    if (name !== this.#parent) {
      if (typeof name !== 'string' || !membraneIdSchema.safeParse(name).success) return undefined;
      this.#parent = this.#parents.share(name);
    }
    return this.#parent;
  }
}

function readLive(
  live: unknown,
  rowRevision: number,
  tokenHashes: TextPool,
): MembraneNode['instances'][number] | undefined {
  if (typeof live !== 'object' || live === null || !hasOnly(live, LIVE_FIELDS)) return undefined;
  const {
    endpoint,
    communicationMode,
    heartbeatIntervalMs,
    status,
    registeredAtMs,
    metadata = NO_METADATA,
    tokenHash = null,
    attempt = 0,
    revision = rowRevision,
    incarnation = revision,
  } = live as Record<string, unknown>;
  if (typeof endpoint !== 'string' || !MODES.has(communicationMode) || status !== 'active') return undefined;
  if (!isRevision(heartbeatIntervalMs) || !isFinite(registeredAtMs)) return undefined;
  if (!isFinite(attempt) || attempt < 0 || !isRevision(incarnation) || !isRevision(revision))
    return undefined;
  if ((tokenHash !== null && typeof tokenHash !== 'string') || !isPlainMetadata(metadata)) return undefined;
  return {
    instanceId: INLINE_INSTANCE_ID,
    endpoint,
    communicationMode: communicationMode as CommunicationMode,
    endpoints: null,
    healthCheckUrl: null,
    metadata,
    weight: USUAL_WEIGHT,
    relay: false,
    heartbeatIntervalMs,
    status,
    silent: false,
    failingCheck: null,
    drain: null,
    registeredAtMs,
    tokenHash: tokenHash === null ? null : tokenHashes.share(tokenHash),
    attempt,
    replacedTokenHashes: NO_HASHES,
    incarnation,
    revision,
  };
}

/** A whole number above 0. */
function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** As JSON that was damaged need not be: `1e999` is infinite. */
function isFinite(value: unknown): value is number {
  return Number.isFinite(value);
}

function hasOnly(row: object, fields: ReadonlySet<string>): boolean {
  for (const field in row) if (!fields.has(field)) return false;
  return true;
}

function isPlainMetadata(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  let keys = 0;
  for (const key in value) {
    keys += 1;
    const item = (value as JsonObject)[key];
    if (keys > MAX_PLAIN_KEYS || key.length > MAX_PLAIN_CHARACTERS || key === '__proto__') return false;
    if (typeof item === 'object' && item !== null) return false;
    if (typeof item === 'string' && item.length > MAX_PLAIN_CHARACTERS) return false;
  }
  return true;
}

/** A text of its own, of ASCII alone: a part of another one keeps that whole one in memory. */
function copyText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
