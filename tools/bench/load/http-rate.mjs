import { LOAD_CORE } from '../process/cores.mjs';
import { ask, startWorker } from '../process/worker-process.mjs';
import { findWrk, measureRate as measureByWrk } from './wrk.mjs';

/**
 * `count`: how many ids it is about, one after the other, from `first` on.
 * @typedef {{ url: string; kind: Exclude<import('./bench-requests.mjs').Kind, 'heartbeats'>; count: number;
 *   connections: number; seconds: number; first?: number }} Load
 */

/** @type {Promise<import('../process/worker-process.mjs').Worker> | undefined} */
let started;

/** Asks the load process that is written for Node; it ends with this one. @param {object} what @returns {Promise<number>} */
async function askNode(what) {
  started ??= startWorker(new URL('node-load.mjs', import.meta.url), [], LOAD_CORE).then(
    ({ worker }) => worker,
  );
  const worker = await started;
  worker.ref();
  worker.channel?.ref();
  try {
    return await ask(worker, what);
  } finally {
    // Nobody waits for it any more.
    worker.unref();
    worker.channel?.unref();
  }
}

const hasWrk = findWrk();

/** What asks for one thing a request. */
export const LOAD_GENERATOR = hasWrk ? 'wrk' : 'node-load.mjs';

/** Requests a second that were answered by 200. @param {Load} load @returns {Promise<number>} */
export async function measureRate(load) {
  return hasWrk ? measureByWrk(load) : measureByNode(load);
}

/** The same without wrk. @param {Omit<Load, 'kind'> & { kind: import('./bench-requests.mjs').Kind }} load */
export function measureByNode(load) {
  return askNode({ what: 'rate', ...load });
}

/** Leases granted and keys put under them, in etcd, a second. @param {Omit<Load, 'kind'>} load */
export function measureEtcdRegister(load) {
  return askNode({ what: 'etcdRegister', ...load });
}
