// Fills a data directory with membranes: node million-store.mjs DIRECTORY COUNT INTERVAL_MS [POPULATION], which is
// the module that says who they are. It writes the rows that
// registrations leave, by the registry's own encoder and store, and not by HTTP: a million requests take minutes, of
// which nothing is measured here. Each membrane has a revision of its own, and the last 100,000 are in the journal, as
// it would be. So these parts of the registry are taken from its build, though nobody else may.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createRegistry } from '@membrane/registry';

const GROUP = 5_000;

const dist = (/** @type {string} */ file) =>
  import(new URL(file, import.meta.resolve('@membrane/registry')).href);
const { encodeChange } = await dist('service/state-encoder.js');
const { hashToken } = await dist('service/lease-token.js');
const { JOURNAL_LIMIT } = await dist('store/membrane-store.js');
const { KeyvMembraneStore } = await dist('store/keyv-membrane-store.js');
const { SqliteKeyv } = await dist('store/sqlite-keyv.js');
// The library that the registry brings; no dependency of our own.
const { Keyv } = createRequire(import.meta.resolve('@membrane/registry'))('keyv');
const PENDING = 0;

const [data = '', countText, intervalText, population = '../load/bench-requests.mjs'] = process.argv.slice(2);
const count = Number(countText);
const { registrationOf, ancestorsOf } = await import(new URL(population, import.meta.url).href);

/** @param {number} number */
function changeOf(number) {
  const {
    id,
    parent = null,
    endpoint,
    metadata,
    heartbeat_interval_ms,
    lease_token,
  } = registrationOf(number, Number(intervalText));
  const atMs = Date.now();
  const instance = {
    instanceId: 'default',
    endpoint,
    communicationMode: 'network',
    endpoints: null,
    healthCheckUrl: null,
    metadata,
    weight: 1,
    relay: false,
    heartbeatIntervalMs: heartbeat_interval_ms,
    status: 'active',
    silent: false,
    failingCheck: null,
    drain: null,
    registeredAtMs: atMs,
    tokenHash: hashToken(lease_token),
    attempt: 0,
    replacedTokenHashes: [],
    incarnation: PENDING,
    revision: PENDING,
  };
  const node = {
    namespace: 'default',
    id,
    parent,
    requestedParent: parent,
    tombstone: null,
    createdRevision: PENDING,
    revision: PENDING,
    vacantSinceMs: null,
    instances: [instance],
    ended: [],
  };
  const event = {
    event: 'registered',
    namespace: 'default',
    id,
    instanceId: 'default',
    parent,
    instance,
    after: ancestorsOf?.(number) ?? [parent],
  };
  const events = count - number <= JOURNAL_LIMIT ? [event] : [];
  return encodeChange({ atMs, nodes: [{ before: undefined, after: node }], events });
}

// A registry that has been there writes its name first.
const registry = createRegistry({ port: 0, data });
await registry.start();
await registry.stop();
const backend = new SqliteKeyv(join(data, 'registry.sqlite'));
// Nobody minds if a crash of the machine spoils it.
await backend.query('PRAGMA journal_mode=OFF');
await backend.query('PRAGMA synchronous=OFF');
await backend.query('PRAGMA cache_size=-262144');
const keyv = new Keyv({ store: backend, namespace: 'membrane' });
const store = new KeyvMembraneStore(keyv);
for await (const page of (await store.load()).entries) void page;
for (let first = 0; first < count; first += GROUP) {
  const size = Math.min(GROUP, count - first);
  await store.commit(Array.from({ length: size }, (_, index) => changeOf(first + index)));
}
await store.close();
