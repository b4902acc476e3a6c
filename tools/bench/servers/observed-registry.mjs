import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { SERVER_CORE } from '../process/cores.mjs';
import { ask, startWorker } from '../process/worker-process.mjs';

/**
 * A registry with many membranes that tells what it costs.
 * @typedef {{ url: string; startedMs: number; worker: import('../process/worker-process.mjs').Worker }} ObservedRegistry
 */

/**
 * @param {string} directory
 * @param {{ port?: number; cores?: string }} [options]
 * @returns {Promise<ObservedRegistry>} once it has loaded them all
 */
export async function startObserved(directory, { port = 0, cores = SERVER_CORE } = {}) {
  const { worker, word } = await startWorker(
    new URL('observed-host.mjs', import.meta.url),
    [directory, String(port)],
    cores,
  );
  return { ...word, worker };
}

/** @param {ObservedRegistry} registry @returns {Promise<number>} */
export const memoryOf = ({ worker }) => ask(worker, { what: 'memory' });

/**
 * What it costs while something happens: processor time as a part of one core, and the longest time in which it did
 * nothing else.
 * @param {ObservedRegistry} registry
 * @param {() => Promise<unknown>} happen
 * @returns {Promise<{ cpu: number; longestStallMs: number; longestGcMs: number }>}
 */
export async function observe({ worker }, happen) {
  await ask(worker, { what: 'begin' });
  await happen();
  return ask(worker, { what: 'end' });
}

/**
 * Fills a data directory, which a registry then loads.
 * @param {string} directory
 * @param {{ count: number; intervalMs: number; population?: string }} membranes `population`: the module that says who they are
 */
export async function writeStore(directory, { count, intervalMs, population }) {
  const file = fileURLToPath(new URL('million-store.mjs', import.meta.url));
  const args = [
    file,
    directory,
    String(count),
    String(intervalMs),
    ...(population === undefined ? [] : [population]),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the store of ${count} membranes could not be written`);
}
