import { join } from 'node:path';
import { writeChanges } from '../watch/change-writer.mjs';
import { LOAD_CORE } from '../process/cores.mjs';
import { median } from '../report/report.mjs';
import { startServer, stopServer } from '../process/server-process.mjs';
import { CHANGING, WATCH_SUBJECTS } from '../watch/watch-subjects.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

/** How often every id is looked up in a round. */
const TIMES = { map: 3_000, peek: 3_000, asyncMap: 1_000, discover: 1_000, roundTrip: 1 };

/**
 * What it costs to find a membrane in a replica, beside a bare `Map` and a question to the registry.
 * @param {{ directory: string; short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function measureReplica({ directory, short, onProgress }) {
  const rounds = short ? 3 : 15;
  onProgress('look-ups in a replica');
  const registry = await startServer(
    new URL('../servers/registry-host.mjs', import.meta.url),
    join(directory, 'looked-up'),
  );
  /** @type {Record<keyof typeof TIMES, number[]>} */
  const found = { map: [], peek: [], asyncMap: [], discover: [], roundTrip: [] };
  /** @type {import('../process/worker-process.mjs').Worker | undefined} */
  let reader;
  try {
    const filling = { first: 0, count: CHANGING, perSecond: CHANGING };
    await writeChanges(registry.url, WATCH_SUBJECTS.registry, filling);
    reader = (await startWorker(new URL('replica-reader.mjs', import.meta.url), [registry.url], LOAD_CORE))
      .worker;
    for (let round = 0; round <= rounds; round += 1) {
      for (const what of /** @type {(keyof typeof TIMES)[]} */ (Object.keys(TIMES))) {
        const ns = await ask(reader, { what, times: TIMES[what] });
        // The first round warms the code up.
        if (round > 0) found[what].push(ns);
      }
    }
  } finally {
    if (reader !== undefined) await stopWorker(reader);
    await stopServer(registry);
  }
  const compare = (
    /** @type {keyof typeof TIMES} */ name,
    /** @type {keyof typeof TIMES} */ reference,
    /** @type {string} */ referenceName,
  ) => ({ value: median(found[name]), unit: 'ns', reference: median(found[reference]), referenceName });
  return [
    { what: 'peek, from a replica', ...compare('peek', 'map', 'a bare Map.get'), target: '10.0 or less' },
    {
      what: 'discover, from a replica',
      ...compare('discover', 'asyncMap', 'an async function around Map.get'),
      target: '10.0 or less',
    },
    {
      what: 'discover, by asking the registry',
      ...compare('roundTrip', 'discover', 'from a replica'),
      target: '',
    },
  ];
}
