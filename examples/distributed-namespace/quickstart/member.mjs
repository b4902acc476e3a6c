// One membrane as a process of its own: registers, renews its lease, leaves when it is told to.
//   node member.mjs REGISTRY_URL ID [PARENT]
// It ends with the process that started it, whatever ends that one: then its channel is closed.
import { randomBytes } from 'node:crypto';
import { RegistryApi } from '@membrane/client';

const HEARTBEAT_INTERVAL_MS = 500;

const [registryUrl, id, parent] = process.argv.slice(2);
if (registryUrl === undefined || id === undefined)
  throw new Error('usage: member.mjs REGISTRY_URL ID [PARENT]');

const registry = new RegistryApi({ registryUrl });
const leaseToken = randomBytes(16).toString('hex');
let attempt = 0;

async function register() {
  attempt += 1;
  await registry.register({
    id,
    parent: parent ?? null,
    endpoint: `http://${id}.example`,
    communicationMode: 'network',
    metadata: { pid: process.pid },
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
    leaseToken,
    attempt,
  });
}

await register();
process.send?.('registered');

setInterval(() => {
  // A registry that is away is tried again at the next beat; one that forgot us gets a new registration.
  registry.heartbeat({ id, leaseToken }).catch((error) => {
    if (error.code === 'not_registered') register().catch(() => undefined);
  });
}, HEARTBEAT_INTERVAL_MS);

process.once('disconnect', () => process.exit());
