// A client that keeps a replica: node replica-reader.mjs URL. It tells what a look-up costs in nanoseconds, each way.
import { createNamespaceClient } from '@membrane/client';

const [registryUrl = ''] = process.argv.slice(2);
// First of all: that somebody listens holds the process, which the connections of a replica do not.
process.once('disconnect', () => process.exit());
const client = createNamespaceClient('reader', { registryUrl, cache: 'watch' });
await client.replicaReady();
const records = await client.listMembranes();
const ids = records.map(({ id }) => id);
/** What a program would keep by itself: the same keys, and as many. */
const bare = new Map(records.map((record) => [record.id, record]));

/** Loops of their own, so that each is compiled for what it does. @type {Record<string, (times: number) => unknown>} */
const LOOPS = {
  map: (times) => {
    let found = 0;
    for (let time = 0; time < times; time += 1)
      for (const id of ids) if (bare.get(id) !== undefined) found += 1;
    return found;
  },
  peek: (times) => {
    let found = 0;
    for (let time = 0; time < times; time += 1)
      for (const id of ids) if (client.peek(id) !== undefined) found += 1;
    return found;
  },
  asyncMap: async (times) => {
    const find = async (/** @type {string} */ id) => bare.get(id);
    for (let time = 0; time < times; time += 1) for (const id of ids) await find(id);
  },
  discover: async (times) => {
    for (let time = 0; time < times; time += 1) for (const id of ids) await client.discover(id);
  },
  roundTrip: async (times) => {
    for (let time = 0; time < times; time += 1)
      for (const id of ids) await client.discover(id, { useCache: false });
  },
};

process.on('message', async (/** @type {{ what: string; times: number }} */ { what, times }) => {
  const startMs = performance.now();
  await LOOPS[what]?.(times);
  process.send?.({ value: ((performance.now() - startMs) * 1e6) / times / ids.length });
});
if (client.replicaStatus?.size !== ids.length) throw new Error('the replica is not whole');
process.send?.({ ready: true });
