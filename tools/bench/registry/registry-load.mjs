import { join } from 'node:path';
import { ALL_CORES, LOAD_CORE } from '../process/cores.mjs';
import { findFreePort } from '../process/free-port.mjs';
import { memoryOf, startObserved, writeStore } from '../servers/observed-registry.mjs';
import { quantile } from '../report/report.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

const PROBES_PER_SECOND = 100;

/**
 * A registry that has loaded many membranes from SQLite, what that took, and what it holds for each.
 * @param {{ directory: string; count: number; intervalMs: number; onProgress: (line: string) => void }} extent
 * @returns {Promise<{ registry: import('../servers/observed-registry.mjs').ObservedRegistry;
 *   figures: import('../report/report.mjs').Figure[] }>}
 */
export async function measureLoad({ directory, count, intervalMs, onProgress }) {
  const data = join(directory, `${count}-each-${intervalMs}`);
  onProgress(`writing a store of ${count}`);
  await writeStore(data, { count, intervalMs });
  const empty = await startObserved(join(directory, `empty-${intervalMs}`));
  await Promise.all(['/discover/nobody', '/list', '/status'].map((path) => fetch(`${empty.url}${path}`)));
  const emptyBytes = await memoryOf(empty);
  await stopWorker(empty.worker);

  onProgress(`loading ${count}`);
  const port = await findFreePort();
  const { worker } = await startWorker(
    new URL('../load/paced-load.mjs', import.meta.url),
    [`http://127.0.0.1:${port}`],
    LOAD_CORE,
  );
  await ask(worker, { what: 'live', perSecond: PROBES_PER_SECOND });
  const registry = await startObserved(data, { port, cores: ALL_CORES });
  /** @type {number[]} */
  const probesMs = await ask(worker, { what: 'stop', which: 'live' });
  await stopWorker(worker);
  const bytes = ((await memoryOf(registry)) - emptyBytes) / count;
  const held = count.toLocaleString('en-US');
  const figures = [
    {
      what: `start until ${held} are loaded`,
      value: registry.startedMs / 1_000,
      unit: 's',
      target: 'at most 15 s',
    },
    { what: '/health/live meanwhile, longest', value: Math.max(...probesMs), unit: 'ms', target: 'served' },
    { what: '/health/live meanwhile, p99', value: quantile(probesMs, 0.99), unit: 'ms', target: '' },
    { what: `memory a membrane, ${held} held`, value: bytes, unit: 'bytes', target: 'at most 1,229' },
  ];
  return { registry, figures };
}
