import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ETCD, postText, REQUESTS } from '../load/bench-requests.mjs';
import { startEtcd } from '../servers/etcd-server.mjs';
import { startObserved, writeStore } from '../servers/observed-registry.mjs';
import { RawConnection } from '../load/raw-connection.mjs';
import { startRedis } from '../servers/redis-server.mjs';
import { measureBatches } from './registry-batches.mjs';
import { measureLoad } from './registry-load.mjs';
import { measureRest } from './registry-rest.mjs';
import { measureRows } from './registry-rows.mjs';
import { startServer } from '../process/server-process.mjs';
import { stopWorker } from '../process/worker-process.mjs';

const FEW = 1_000;
const SOME = 10_000;
const DAY_MS = 86_400_000;
const REST_INTERVAL_MS = 30_000;
const FULL = { many: 1_000_000, rounds: 4, seconds: 2, restSeconds: 30, withExpiry: true };
const SHORT = { many: 20_000, rounds: 1, seconds: 1, restSeconds: 3, withExpiry: false };

/** @typedef {(line: string) => void} OnProgress */

/**
 * @param {{ short: boolean; onProgress: OnProgress }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function registrySuite({ short, onProgress }) {
  const extent = { ...(short ? SHORT : FULL), few: FEW, some: SOME, onProgress };
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  try {
    const rates = await measureRates(directory, extent);
    const rest = await measureLoad({
      directory,
      count: extent.many,
      intervalMs: REST_INTERVAL_MS,
      onProgress,
    });
    try {
      const atRest = { count: extent.many, intervalMs: REST_INTERVAL_MS, seconds: extent.restSeconds };
      const { withExpiry } = extent;
      return [
        ...rates,
        ...rest.figures,
        ...(await measureRest(rest.registry, { ...atRest, withExpiry, onProgress })),
      ];
    } finally {
      await stopWorker(rest.registry.worker);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param {string} directory
 * @param {typeof FULL & { few: number; some: number; onProgress: OnProgress }} extent
 */
async function measureRates(directory, extent) {
  /** @type {{ kill: (signal: 'SIGKILL') => unknown }[]} */
  const running = [];
  const startHolding = async (/** @type {number} */ count) => {
    const data = join(directory, `rates-${count}`);
    extent.onProgress(`a registry with ${count}`);
    await writeStore(data, { count, intervalMs: DAY_MS });
    const registry = await startObserved(data);
    running.push(registry.worker);
    return registry;
  };
  try {
    const bare = await startServer(new URL('../servers/bare-server.mjs', import.meta.url), directory);
    running.push(bare.child);
    await fill(bare.url, (number) => [REQUESTS.register(number)]);
    const etcd = await startReference('etcd', () => startEtcd(join(directory, 'etcd')), extent.onProgress);
    if (etcd !== undefined) {
      running.push(etcd.child);
      await fill(etcd.url, (number) => [
        postText('/v3/lease/grant', ETCD.grant(number)),
        postText('/v3/kv/put', ETCD.put(number, number + 1)),
      ]);
    }
    const redis = await startReference('Redis', () => startRedis(directory, FEW), extent.onProgress);
    if (redis !== undefined) running.push(redis.child);
    const [few, some, many] = [
      await startHolding(FEW),
      await startHolding(SOME),
      await startHolding(extent.many),
    ];
    const rows = await measureRows({ bare, few, many, etcd, redis }, extent);
    return [...rows, ...(await measureBatches({ some, many }, extent))];
  } finally {
    for (const child of running) child.kill('SIGKILL');
  }
}

/**
 * @template Server
 * @param {string} name
 * @param {() => Promise<Server>} start
 * @param {OnProgress} onProgress
 * @returns {Promise<Server | undefined>} undefined where it is not installed
 */
async function startReference(name, start, onProgress) {
  try {
    return await start();
  } catch (error) {
    onProgress(`${name}: not found, not measured (${String(error)})`);
    return undefined;
  }
}

/**
 * What is renewed and looked up must be there, however slow a machine is.
 * @param {string} url
 * @param {(number: number) => string[]} requestsOf
 */
async function fill(url, requestsOf) {
  const connection = new RawConnection(url);
  for (let number = 0; number < FEW; number += 1) {
    for (const request of requestsOf(number)) await connection.ask(request);
  }
  connection.close();
}
