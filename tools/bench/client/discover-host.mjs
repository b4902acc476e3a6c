// What finding a membrane costs that is known already: node discover-host.mjs URL CALLS ROUNDS. Prints as JSON the
// nanoseconds of a call of each kind, medians, in turns with an async function that reads a Map: less is not possible.
import { createNamespaceClient } from '@membrane/client';
import { median } from '../report/report.mjs';

const [registryUrl = '', calls, rounds] = process.argv.slice(2);

const known = createNamespaceClient('known', { registryUrl, cache: { ttlMs: 3_600_000 } });
const replicated = createNamespaceClient('replicated', { registryUrl, cache: 'watch' });
await known.register({ endpoint: 'http://127.0.0.1:1' });
await replicated.replicaReady();
await known.discover('known');

const map = new Map([['known', {}]]);
const kinds = {
  bare: async (/** @type {string} */ id) => map.get(id),
  remembered: (/** @type {string} */ id) => known.discover(id),
  replica: (/** @type {string} */ id) => replicated.discover(id),
};

/** @type {Record<string, number[]>} */
const found = { bare: [], remembered: [], replica: [], peek: [] };
// The first round warms up.
for (let round = 0; round <= Number(rounds); round += 1) {
  for (const [kind, find] of Object.entries(kinds)) {
    const startMs = performance.now();
    for (let call = 0; call < Number(calls); call += 1) await find('known');
    note(kind, round, startMs);
  }
  const startMs = performance.now();
  for (let call = 0; call < Number(calls); call += 1) replicated.peek('known');
  note('peek', round, startMs);
}
console.log(
  JSON.stringify(Object.fromEntries(Object.entries(found).map(([kind, ns]) => [kind, median(ns)]))),
);
await Promise.all([known.close(), replicated.close()]);

/** @param {string} kind @param {number} round @param {number} startMs */
function note(kind, round, startMs) {
  if (round > 0) found[kind]?.push(((performance.now() - startMs) * 1_000_000) / Number(calls));
}
