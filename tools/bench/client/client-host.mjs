// One process with many membranes: node --expose-gc client-host.mjs URL COUNT PERIODS. It prints as JSON what a period of
// heartbeats costs it: requests, live timers, processor time and memory.
import { createHook } from 'node:async_hooks';
import diagnosticsChannel from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNamespaceClient } from '@membrane/client';

const INTERVAL_MS = 1_000;
const [url = '', count, periods] = process.argv.slice(2);

/** @type {Set<number>} */
const timers = new Set();
createHook({
  init: (id, type) => void (type === 'Timeout' && timers.add(id)),
  destroy: (id) => void timers.delete(id),
}).enable();
let requests = 0;
diagnosticsChannel.subscribe('http.client.request.start', () => (requests += 1));

const clients = Array.from({ length: Number(count) }, (_, index) =>
  createNamespaceClient(`member-${index}`, {
    registryUrl: url,
    heartbeatIntervalMs: INTERVAL_MS,
    // Ten thousand registrations at once wait for each other, on a busy machine for long.
    timeoutMs: 60_000,
  }),
);
const startMs = performance.now();
await Promise.all(clients.map((client) => client.register({ endpoint: 'http://127.0.0.1:1' })));
const registeringMs = performance.now() - startMs;
let renewals = 0;
for (const client of clients) client.on('leaseRenewed', () => (renewals += 1));
// What the registrations left behind is no cost of renewing.
await sleep(2 * INTERVAL_MS);

const before = { cpu: process.cpuUsage(), requests, renewals };
const ms = Number(periods) * INTERVAL_MS;
// Counted between two renewals; one is this pause, one stands for whatever holds the process.
const timersSeen = [];
for (let left = 10; left > 0; left -= 1) {
  await sleep(ms / 10);
  timersSeen.push(timers.size);
}
const { user, system } = process.cpuUsage(before.cpu);
globalThis.gc?.();
console.log(
  JSON.stringify({
    registeringMs,
    requests: (requests - before.requests) / Number(periods),
    renewals: (renewals - before.renewals) / Number(periods) / clients.length,
    cpuMs: (user + system) / 1_000 / Number(periods),
    timers: Math.min(...timersSeen),
    heapBytes: process.memoryUsage().heapUsed,
  }),
);
await Promise.all(clients.map((client) => client.close({ deregister: false })));
