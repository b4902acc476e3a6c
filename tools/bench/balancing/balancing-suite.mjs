import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { post } from '../watch/change-writer.mjs';
import { LOAD_CORE, SERVER_CORE } from '../process/cores.mjs';
import { median, quantile } from '../report/report.mjs';
import { startServer, stopServer } from '../process/server-process.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

/** What a handler takes, by instance: one is ten times slower. */
const WORK_MS = { slow: 20, r1: 2, r2: 2, r3: 2, r4: 2 };
const AT_ONCE = 4;
const REQUESTS_PER_SECOND = 250;
const PICKS = 10_000;
/** The weights of the instances that are picked by weight; elsewhere each has one. */
const WEIGHTS = { r0: 1, r1: 1, r2: 2, r3: 2, r4: 4 };
const GONE = 'r2';

/** @typedef {import('../process/worker-process.mjs').Worker} Worker */
/** @typedef {{ tookMs: number[]; counts: Record<string, number> }} Answers */

/**
 * Requests to five instances, one of them slow, by two strategies in turns; then how evenly each strategy picks.
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function balancingSuite({ short, onProgress }) {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  /** @type {Worker[]} */
  const workers = [];
  const start = async (/** @type {URL} */ script, /** @type {string[]} */ args, core = SERVER_CORE) => {
    const { worker } = await startWorker(script, args, core);
    workers.push(worker);
    return worker;
  };
  const registry = await startServer(
    new URL('../servers/registry-host.mjs', import.meta.url),
    join(directory, 'registry'),
  );
  try {
    for (const [instance, workMs] of Object.entries(WORK_MS)) {
      await start(new URL('balancing-replica.mjs', import.meta.url), [
        registry.url,
        'oven',
        instance,
        String(workMs),
        String(AT_ONCE),
      ]);
    }
    const sender = await start(
      new URL('balancing-sender.mjs', import.meta.url),
      [registry.url, 'oven'],
      LOAD_CORE,
    );
    return [
      ...(await measureSlowInstance(sender, short, onProgress)),
      ...(await measureSpread(sender, registry.url, onProgress)),
    ];
  } finally {
    for (const worker of workers) await stopWorker(worker);
    await stopServer(registry);
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param {Worker} sender
 * @param {boolean} short
 * @param {(line: string) => void} onProgress
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
async function measureSlowInstance(sender, short, onProgress) {
  const rounds = short ? 3 : 10;
  const count = (short ? 3 : 10) * REQUESTS_PER_SECOND;
  /** @type {Record<'round-robin' | 'p2c', Answers[]>} */
  const found = { 'round-robin': [], p2c: [] };
  for (let round = 0; round <= rounds; round += 1) {
    onProgress(round === 0 ? 'requests: warm-up' : `requests: round ${round} of ${rounds}`);
    for (const strategy of /** @type {(keyof typeof found)[]} */ (Object.keys(found))) {
      const answers = await ask(sender, { what: 'load', strategy, count, perSecond: REQUESTS_PER_SECOND });
      // The first round warms the code up, and opens connections.
      if (round > 0) found[strategy].push(answers);
    }
  }
  const compare = (/** @type {(answers: Answers) => number} */ figureOf) => ({
    value: median(found.p2c.map(figureOf)),
    reference: median(found['round-robin'].map(figureOf)),
    referenceName: 'round-robin',
  });
  const at = (/** @type {number} */ part) => compare(({ tookMs }) => quantile(tookMs, part));
  const slow = compare(({ counts }) => ((counts['slow'] ?? 0) / count) * 100);
  return [
    { what: 'request by p2c, one of five slow, p50', ...at(0.5), unit: 'ms', target: '' },
    { what: 'request by p2c, one of five slow, p99', ...at(0.99), unit: 'ms', target: 'below 1.00' },
    { what: 'requests by p2c that the slow one gets', ...slow, unit: '%', target: 'below 1.00' },
  ];
}

/**
 * How far each strategy is from giving every instance its share.
 * @param {Worker} sender
 * @param {string} url
 * @param {(line: string) => void} onProgress
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
async function measureSpread(sender, url, onProgress) {
  onProgress(`${PICKS.toLocaleString('en-US')} picks by each strategy`);
  for (const [instance, weight] of Object.entries(WEIGHTS)) {
    await registerInstance(url, 'even', instance, 1);
    await registerInstance(url, 'weighed', instance, weight);
  }
  const pick = (/** @type {object} */ what) =>
    /** @type {Promise<string[]>} */ (ask(sender, { what: 'pick', count: PICKS, ...what }));
  /** @type {import('../report/report.mjs').Figure[]} */
  const figures = [];
  for (const strategy of ['round-robin', 'random', 'p2c', 'weighted', 'sticky']) {
    const of = strategy === 'weighted' ? 'weighed' : 'even';
    const names = await pick({ of, strategy, keys: strategy === 'sticky' });
    figures.push({
      what: `farthest from its share by ${strategy}, of ${PICKS.toLocaleString('en-US')} picks`,
      value: farthest(names, strategy === 'weighted' ? Object.values(WEIGHTS) : [1, 1, 1, 1, 1]),
      unit: '%',
      target: strategy === 'round-robin' ? '0' : 'at most 10 %',
    });
  }
  const sticky = { of: 'even', strategy: 'sticky', keys: true };
  const before = await pick(sticky);
  await post(`${url}/deregister`, { id: 'even', instance_id: GONE });
  const after = await pick({ ...sticky, useCache: false });
  figures.push({
    what: 'keys that move where one of five goes',
    value: before.filter((name, index) => name !== after[index]).length,
    unit: '',
    reference: before.filter((name) => name === GONE).length,
    referenceName: 'those it had',
    target: '1.00',
  });
  return figures;
}

/** @param {string} url @param {string} id @param {string} instance @param {number} weight */
function registerInstance(url, id, instance, weight) {
  return post(`${url}/register`, {
    id,
    instance_id: instance,
    weight,
    endpoint: 'http://127.0.0.1:1',
    communication_mode: 'network',
    heartbeat_interval_ms: 86_400_000,
  });
}

/**
 * How much the instance that is farthest from its share is off, in percent of that share.
 * @param {readonly string[]} names the instance of each pick
 * @param {readonly number[]} weights of the instances r0, r1, ...
 */
function farthest(names, weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const parts = weights.map((weight, index) => {
    const share = (names.length * weight) / total;
    const picked = names.filter((name) => name === `r${index}`).length;
    return (Math.abs(picked - share) / share) * 100;
  });
  return Math.max(...parts);
}
