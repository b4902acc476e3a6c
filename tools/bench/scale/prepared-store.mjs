import { hashToken } from '../../../packages/registry/dist/service/lease-token.js';
import { encodeChange } from '../../../packages/registry/dist/service/state-encoder.js';
import { openSqliteStore } from '../../../packages/registry/dist/store/sqlite-membrane-store.js';
import { PENDING_REVISION } from '../../../packages/registry/dist/domain/membrane-node.js';
import { idOf, registrationOf } from './population.mjs';

const AT_ONCE = 2_000;
/** Of the last changes, which is what a registry keeps of them: what went before is not written to be pruned again. */
const JOURNALED = 100_000;
const NAMESPACE = 'default';
const idOfRoot = idOf(0);

/**
 * Writes the store of a registry that has registered so many, by the registry's own writer: a million registrations over
 * HTTP take minutes, and are no part of what is measured.
 * @param {string} directory
 * @param {number} count
 * @param {number} intervalMs of their heartbeats
 */
export async function prepareStore(directory, count, intervalMs) {
  const store = await openSqliteStore(directory);
  const { entries } = await store.load();
  // What a store holds must have been read before it takes changes; a new one holds nothing.
  for await (const page of entries) if (page.length > 0) throw new Error(`${directory} has a store already`);
  for (let first = 0; first < count; first += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, index) => first + index);
    await store.commit(
      numbers.map((number) => {
        const change = registered(number, intervalMs);
        return encodeChange(number < count - JOURNALED ? { ...change, events: [] } : change);
      }),
    );
  }
  await store.close();
}

/** @param {number} number @param {number} intervalMs */
function registered(number, intervalMs) {
  const { id, parent = null, endpoint, metadata, lease_token } = registrationOf(number, 0, intervalMs);
  const atMs = Date.now();
  const instance = {
    instanceId: 'default',
    endpoint,
    communicationMode: /** @type {const} */ ('network'),
    endpoints: null,
    healthCheckUrl: null,
    metadata,
    weight: 1,
    relay: false,
    heartbeatIntervalMs: intervalMs,
    status: /** @type {const} */ ('active'),
    silent: false,
    failingCheck: null,
    drain: null,
    registeredAtMs: atMs,
    tokenHash: hashToken(lease_token),
    attempt: 0,
    replacedTokenHashes: [],
    incarnation: PENDING_REVISION,
    revision: PENDING_REVISION,
  };
  const node = {
    namespace: NAMESPACE,
    id,
    parent,
    requestedParent: parent,
    tombstone: null,
    createdRevision: PENDING_REVISION,
    revision: PENDING_REVISION,
    vacantSinceMs: null,
    instances: [instance],
    ended: [],
  };
  const event = {
    event: /** @type {const} */ ('registered'),
    namespace: NAMESPACE,
    id,
    instanceId: instance.instanceId,
    parent,
    instance,
    after: parent === null ? [] : parent === idOfRoot ? [parent] : [parent, idOfRoot],
  };
  return { atMs, nodes: [{ before: undefined, after: node }], events: [event] };
}
