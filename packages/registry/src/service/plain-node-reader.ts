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

/** Metadata within these is valid, whatever is in it. */
const MAX_PLAIN_KEYS = 16;
const MAX_PLAIN_CHARACTERS = 128;

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
  #namespace = '';
  #parent = '';
  readonly #texts = new TextPool();

  read({ key, value, revision }: StoredEntry): MembraneNode | undefined {
    const row = value as Record<string, unknown> | null;
    if (typeof row !== 'object' || row === null || !hasOnly(row, NODE_FIELDS)) return undefined;
    const live = readLive(row.live, revision, this.#texts);
    const createdRevision = row.createdRevision ?? revision;
    const ownRevision = row.revision ?? revision;
    if (live === undefined || !isRevision(createdRevision) || !isRevision(ownRevision)) return undefined;
    const slash = key.indexOf('/', NODE_PREFIX.length);
    if (slash === -1 || !this.#takeNamespace(key.slice(NODE_PREFIX.length, slash))) return undefined;
    const id = key.slice(slash + 1);
    if (!membraneIdSchema.safeParse(id).success || !this.#takeParent(row.parent)) return undefined;
    const parent = row.parent === undefined ? null : this.#parent;
    return {
      namespace: this.#namespace,
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

  #takeNamespace(name: string): boolean {
    if (name !== this.#namespace) {
      if (!namespaceSchema.safeParse(name).success) return false;
      this.#namespace = copyText(name);
    }
    return true;
  }

  #takeParent(name: unknown): boolean {
    if (name !== undefined && name !== this.#parent) {
      if (typeof name !== 'string' || !membraneIdSchema.safeParse(name).success) return false;
      this.#parent = this.#texts.share(name);
    }
    return true;
  }
}

function readLive(
  live: unknown,
  rowRevision: number,
  texts: TextPool,
): MembraneNode['instances'][number] | undefined {
  if (typeof live !== 'object' || live === null || !hasOnly(live, LIVE_FIELDS)) return undefined;
  const {
    endpoint,
    communicationMode,
    heartbeatIntervalMs,
    status,
    registeredAtMs,
    metadata = NO_METADATA,
    incarnation = rowRevision,
    tokenHash = null,
    attempt = 0,
    revision = rowRevision,
  } = live as Record<string, unknown>;
  if (typeof endpoint !== 'string' || !MODES.has(communicationMode) || status !== 'active') return undefined;
  if (!isRevision(heartbeatIntervalMs) || typeof registeredAtMs !== 'number') return undefined;
  if (typeof attempt !== 'number' || attempt < 0 || !isRevision(incarnation) || !isRevision(revision))
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
    tokenHash: tokenHash === null ? null : texts.share(tokenHash),
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
