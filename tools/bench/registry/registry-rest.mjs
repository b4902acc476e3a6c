import { setTimeout as sleep } from 'node:timers/promises';
import { LOAD_CORE } from '../process/cores.mjs';
import { observe } from '../servers/observed-registry.mjs';
import { quantile } from '../report/report.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

const DISCOVERS_PER_SECOND = 100;
/** A tenth of the membranes go silent at once. */
const LEAVING_PART = 0.1;
/** A lease ends after five intervals; so many are waited for, since a busy machine ends a hundred thousand late. */
const EXPIRY_INTERVALS = 20;
const STALL_TARGET = 'at most 50 ms';

/**
 * What a registry costs whose membranes do nothing but renew, and how long it does not answer anybody then.
 * @param {import('../servers/observed-registry.mjs').ObservedRegistry} registry
 * @param {{ count: number; intervalMs: number; seconds: number; withExpiry: boolean; onProgress: (line: string) => void }} extent
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function measureRest(registry, { count, intervalMs, seconds, withExpiry, onProgress }) {
  const { worker } = await startWorker(
    new URL('../load/paced-load.mjs', import.meta.url),
    [registry.url],
    LOAD_CORE,
  );
  const held = count.toLocaleString('en-US');
  const leaving = withExpiry ? count * LEAVING_PART : 0;
  try {
    onProgress(`at rest, ${held} held`);
    await ask(worker, { what: 'renew', count, leaving, intervalMs });
    // Past what follows the start.
    await sleep(2_000);
    await ask(worker, { what: 'discover', count, perSecond: DISCOVERS_PER_SECOND });
    const rest = await observe(registry, () => sleep(seconds * 1_000));
    /** @type {number[]} */
    const discoversMs = await ask(worker, { what: 'stop', which: 'discover' });
    const figures = [
      {
        what: `at rest, ${held} held: processor`,
        value: rest.cpu * 100,
        unit: '% of a core',
        target: 'at most 35%',
      },
      { what: '... discover, p99', value: quantile(discoversMs, 0.99), unit: 'ms', target: 'under 10 ms' },
      ...stallsOf('longest stall, at rest', rest),
    ];
    for (const how of /** @type {const} */ (['list', 'snapshot'])) {
      onProgress(`at rest, ${held} held: ${how}`);
      const { walk, costs } = await observeWalk(registry, how);
      if (walk.count < count) throw new Error(`the ${how} had ${walk.count} of ${count} membranes`);
      const name = how === 'list' ? 'a full /list' : 'a snapshot to a new watcher';
      figures.push(...stallsOf(`longest stall, ${name}`, costs));
      figures.push({ what: '... which takes', value: walk.tookMs / 1_000, unit: 's', target: '' });
    }
    if (withExpiry) {
      onProgress(`at rest: ${leaving} have gone silent and expire`);
      // Not earlier: they turn unhealthy after two intervals, and no walk is to meet that.
      await ask(worker, { what: 'dismiss' });
      const endMs = performance.now() + EXPIRY_INTERVALS * intervalMs;
      const costs = await observe(registry, () => waitForCount(registry.url, count - leaving, endMs));
      const name = `unhealthy, then expired: ${leaving.toLocaleString('en-US')}`;
      figures.push(...stallsOf(`longest stall, ${name}`, costs));
    }
    await ask(worker, { what: 'stop', which: 'renew' });
    return figures;
  } finally {
    await stopWorker(worker);
  }
}

/** @param {string} what @param {{ longestStallMs: number; longestGcMs: number }} costs */
function stallsOf(what, { longestStallMs, longestGcMs }) {
  return [
    { what, value: longestStallMs, unit: 'ms', target: STALL_TARGET },
    { what: '... of which garbage is collected', value: longestGcMs, unit: 'ms', target: '' },
  ];
}

/** @param {import('../servers/observed-registry.mjs').ObservedRegistry} registry @param {'list' | 'snapshot'} how */
async function observeWalk(registry, how) {
  let walk = { count: 0, tookMs: 0 };
  const costs = await observe(registry, async () => {
    const { worker, word } = await startWorker(
      new URL('walk-reader.mjs', import.meta.url),
      [registry.url, how],
      LOAD_CORE,
    );
    walk = word;
    await stopWorker(worker);
  });
  return { walk, costs };
}

/** @param {string} url @param {number} count @param {number} endMs */
async function waitForCount(url, count, endMs) {
  for (;;) {
    const status = /** @type {{ membrane_count: number }} */ (await (await fetch(`${url}/status`)).json());
    if (status.membrane_count <= count) return;
    if (performance.now() > endMs) {
      throw new Error(`${status.membrane_count} membranes are left, and not ${count}`);
    }
    await sleep(500);
  }
}
