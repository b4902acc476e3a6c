import { measureByNode } from '../load/http-rate.mjs';
import { SERVER_CORE } from '../process/cores.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';
import { figureOf, measureHeartbeats, referenceOf, WARM_UP_SECONDS } from './registry-rows.mjs';

const CONNECTIONS = 4;
/** What the numbers aimed at stand beside. */
const ALONE_FEW = 1_000;
const NAMES = /** @type {const} */ (['some', 'many', 'aloneFew', 'aloneMany', 'single']);

/**
 * Heartbeats in batches of 1,000, beside what parsing and looking up takes without a registry.
 * @param {{ some: { url: string }; many: { url: string } }} registries
 * @param {{ some: number; many: number; rounds: number; seconds: number; onProgress: (line: string) => void }} extent
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function measureBatches(registries, { some, many, rounds, seconds, onProgress }) {
  const [few, all] = await Promise.all(
    [ALONE_FEW, many].map((held) =>
      startWorker(new URL('../load/lookup-alone.mjs', import.meta.url), [String(held)], SERVER_CORE),
    ),
  );
  /** @type {Record<typeof NAMES[number], number[]>} */
  const rates = { some: [], many: [], aloneFew: [], aloneMany: [], single: [] };
  try {
    const extent = { kind: /** @type {const} */ ('heartbeats'), connections: CONNECTIONS };
    const askAll = async (/** @type {number} */ seconds) => ({
      some: await measureByNode({ url: registries.some.url, count: some, ...extent, seconds }),
      aloneFew: await ask(few.worker, { seconds }),
      many: await measureByNode({ url: registries.many.url, count: many, ...extent, seconds }),
      aloneMany: await ask(all.worker, { seconds }),
    });
    const single = { url: registries.some.url, kind: /** @type {const} */ ('heartbeat'), count: some };
    await askAll(WARM_UP_SECONDS);
    await measureByNode({ ...single, connections: CONNECTIONS, seconds: WARM_UP_SECONDS });
    for (let round = 1; round <= rounds; round += 1) {
      onProgress(`batches: round ${round} of ${rounds}`);
      const found = {
        ...(await askAll(seconds)),
        single: await measureHeartbeats(single.url, { count: some, seconds }),
      };
      for (const name of NAMES) rates[name].push(found[name]);
    }
  } finally {
    await Promise.all([few, all].map(({ worker }) => stopWorker(worker)));
  }
  const format = (/** @type {number} */ count) => count.toLocaleString('en-US');
  const row = (/** @type {number} */ held, /** @type {number[]} */ measured) => ({
    what: `renewals in batches of 1,000, ${format(held)} held`,
    ...figureOf(measured),
  });
  return [
    {
      ...row(some, rates.some),
      ...referenceOf(`parse and lookup alone, ${format(ALONE_FEW)} held`, rates.aloneFew),
      target: '800,000/s or more',
    },
    {
      ...row(some, rates.some),
      ...referenceOf('one a request', rates.single),
      target: '40 or better',
    },
    {
      ...row(many, rates.many),
      ...referenceOf(`parse and lookup alone, ${format(many)} held`, rates.aloneMany),
      target: '350,000/s or more',
    },
  ];
}
