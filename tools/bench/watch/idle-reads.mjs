import { SERVER_CORE } from '../process/cores.mjs';
import { median } from '../report/report.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

const FEW = 100;
const MANY = 100_000;
const CHANGES = 10_000;

/**
 * What a change costs beside blocking reads that it does not concern.
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function measureIdleReads({ short, onProgress }) {
  const rounds = short ? 5 : 25;
  onProgress('changes beside idle reads');
  /** @type {{ worker: import('../process/worker-process.mjs').Worker; costsUs: number[] }[]} */
  const hosts = [];
  try {
    for (const count of [FEW, MANY]) {
      const { worker } = await startWorker(
        new URL('idle-reads-host.mjs', import.meta.url),
        [String(count)],
        SERVER_CORE,
      );
      hosts.push({ worker, costsUs: [] });
    }
    for (let round = 0; round <= rounds; round += 1) {
      for (const { worker, costsUs } of hosts) {
        const costUs = await ask(worker, { count: CHANGES });
        // The first round warms the code up.
        if (round > 0) costsUs.push(costUs);
      }
    }
  } finally {
    for (const { worker } of hosts) await stopWorker(worker);
  }
  const [few, many] = hosts.map(({ costsUs }) => median(costsUs));
  return [
    {
      what: `a change beside ${MANY.toLocaleString('en-US')} idle reads`,
      value: many,
      unit: 'us',
      reference: few,
      referenceName: `beside ${FEW}`,
      target: '2.0 or less',
    },
  ];
}
