import { SERVER_CORE } from '../process/cores.mjs';
import { measureByNode } from '../load/http-rate.mjs';
import { measureHeartbeats } from './registry-rows.mjs';
import { median } from '../report/report.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

const CONNECTIONS = 4;
/** What the numbers aimed at stand beside. */
const ALONE_FEW = 1_000;

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
  /** @type {Record<'some' | 'many' | 'aloneFew' | 'aloneMany' | 'single', number[]>} */
  const rates = { some: [], many: [], aloneFew: [], aloneMany: [], single: [] };
  try {
    for (let round = 1; round <= rounds; round += 1) {
      onProgress(`batches: round ${round} of ${rounds}`);
      const extent = { kind: /** @type {const} */ ('heartbeats'), connections: CONNECTIONS, seconds };
      rates.some.push(await measureByNode({ url: registries.some.url, count: some, ...extent }));
      rates.aloneFew.push(await ask(few.worker, { seconds }));
      rates.single.push(await measureHeartbeats(registries.some.url, { count: some, seconds }));
      rates.many.push(await measureByNode({ url: registries.many.url, count: many, ...extent }));
      rates.aloneMany.push(await ask(all.worker, { seconds }));
    }
  } finally {
    await Promise.all([few, all].map(({ worker }) => stopWorker(worker)));
  }
  const format = (/** @type {number} */ count) => count.toLocaleString('en-US');
  const row = (/** @type {number} */ held, /** @type {number[]} */ measured) => ({
    what: `renewals in batches of 1,000, ${format(held)} held`,
    value: median(measured),
    unit: '/s',
  });
  return [
    {
      ...row(some, rates.some),
      reference: median(rates.aloneFew),
      referenceName: `parse and lookup alone, ${format(ALONE_FEW)} held`,
      target: '800,000/s or more',
    },
    {
      ...row(some, rates.some),
      reference: median(rates.single),
      referenceName: 'one a request',
      target: '40 or better',
    },
    {
      ...row(many, rates.many),
      reference: median(rates.aloneMany),
      referenceName: `parse and lookup alone, ${format(many)} held`,
      target: '350,000/s or more',
    },
  ];
}
