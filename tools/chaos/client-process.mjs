// A client as a process: node client-process.mjs URL ID INTERVAL_MS. It tells its parent what happens, with the time.
import { createNamespaceClient } from '@membrane/client';

const [registryUrl, id, intervalMs] = process.argv.slice(2);
const client = createNamespaceClient(id, {
  registryUrl,
  heartbeatIntervalMs: Number(intervalMs),
  metadata: { pid: process.pid },
});

/** @param {string} name @param {string} [detail] */
function tell(name, detail) {
  process.send?.({ name, detail, atMs: Date.now() });
}
client.on('registered', () => tell('registered'));
client.on('leaseRenewed', () => tell('leaseRenewed'));
client.on('leaseLost', ({ reason }) => tell('leaseLost', reason));
client.on('superseded', () => tell('superseded'));
client.on('removed', () => tell('removed'));
client.on('registrationFailed', ({ error, willRetry }) =>
  tell(willRetry ? 'registrationDelayed' : 'registrationRefused', error.message),
);
client.on('registryUnreachable', ({ message }) => tell('registryUnreachable', message));
client.on('registryReachable', () => tell('registryReachable'));

// It outlives its lease, so that one is seen that comes back when it should not; it does not outlive its parent.
process.channel?.ref();
process.on('disconnect', () => process.exit());
await client.register({ endpoint: 'http://127.0.0.1:1', retry: true });
