import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOAD_CORE, SERVER_CORE } from '../process/cores.mjs';
import { writeStore } from '../servers/observed-registry.mjs';
import { quantile } from '../report/statistics.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';
import { someHosts } from './population.mjs';

const PROCESSES = 4;
const WATCHERS = 100;
/** What is played, in played time. */
export const INTERVAL_MS = 30_000;
/** Of the renewals that are due, so many must have been made: a batch more or less may fall in a stretch. */
const KEPT_UP = 0.7;
const CHURN_PER_MINUTE = 0.01;
const DISCOVERS_PER_SECOND = 50;

/** @typedef {{ p50: number; p99: number }} Percentiles in milliseconds */
/**
 * One stretch of the play.
 * @typedef {object} Stretch
 * @property {number} cpuPercent of one core, a second of played time
 * @property {{ p50: number; p99: number; longest: number }} delayMs of the event loop
 * @property {Record<'discover' | 'heartbeats' | 'register', Percentiles>} calls
 * @property {number} renewalsPerSecond of real time
 */
/**
 * What was found with a number of membranes.
 * @typedef {object} Played
 * @property {number} count
 * @property {number} startMs of the registry, with what is held
 * @property {{ rss: number; heapUsed: number }} memory in bytes
 * @property {Stretch[]} stretches
 */

/** Calls failed, or waited in thousands, or leases ended: what was measured is something else then. */
export class NotKeptUp extends Error {}

/**
 * Plays a number of membranes on a registry, in compressed time: what would happen in `speed` seconds happens in one.
 * @param {number} count
 * @param {{ speed: number; seconds: number; stretches: number; onProgress: (line: string) => void }} extent
 * @returns {Promise<Played>} rejects by NotKeptUp where the registry, or the load, is too slow for so many
 */
export async function play(count, { speed, seconds, stretches, onProgress }) {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  /** @type {import('../process/worker-process.mjs').Worker[]} */
  const workers = [];
  const start = async (
    /** @type {URL} */ script,
    /** @type {(string | number)[]} */ args,
    core = LOAD_CORE,
  ) => {
    const started = await startWorker(script, args.map(String), core);
    workers.push(started.worker);
    return started;
  };
  try {
    const intervalMs = INTERVAL_MS / speed;
    onProgress(`a store with ${count.toLocaleString('en-US')}`);
    await writeStore(directory, {
      count,
      intervalMs,
      population: new URL('population.mjs', import.meta.url).href,
    });
    const { worker: registry, word } = await start(
      new URL('registry-process.mjs', import.meta.url),
      [directory],
      SERVER_CORE,
    );
    const loads = await Promise.all(
      Array.from({ length: PROCESSES }, async (_, index) => {
        const [first, end] = [index, index + 1].map((part) => Math.floor((part * count) / PROCESSES));
        return (
          await start(new URL('load-process.mjs', import.meta.url), [
            word.url,
            first ?? 0,
            end ?? 0,
            count,
            intervalMs,
          ])
        ).worker;
      }),
    );
    const all = (/** @type {object} */ what) => Promise.all(loads.map((load) => ask(load, what)));
    await all({
      what: 'play',
      churnPerSecond: (count * CHURN_PER_MINUTE * speed) / 60 / PROCESSES,
      discoversPerSecond: (DISCOVERS_PER_SECOND * speed) / PROCESSES,
    });
    const hosts = someHosts(count, WATCHERS);
    await Promise.all(
      loads.map((load, index) =>
        ask(load, { what: 'watch', subtrees: hosts.filter((_, at) => at % PROCESSES === index) }),
      ),
    );
    onProgress(`${count.toLocaleString('en-US')} for ${seconds * stretches} s, after one interval`);
    await sleep(intervalMs);
    await Promise.all([ask(registry, { what: 'window' }), all({ what: 'window' })]);
    /** @type {Stretch[]} */
    const played = [];
    for (let index = 0; index < stretches; index += 1) {
      await sleep(seconds * 1_000);
      const [served, answers] = await Promise.all([
        ask(registry, { what: 'window' }),
        all({ what: 'window' }),
      ]);
      played.push(describe(served, answers, { speed, seconds, count }));
    }
    return {
      count,
      startMs: word.startMs,
      memory: await ask(registry, { what: 'memory' }),
      stretches: played,
    };
  } finally {
    for (const worker of workers) await stopWorker(worker);
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param {{ cpuPart: number; delayMs: Stretch['delayMs'] }} served
 * @param {{ tookMs: Record<string, number[]>; renewed: number; lost: number; errors: number; skipped: number }[]} answers
 * @param {{ speed: number; seconds: number; count: number }} extent
 * @returns {Stretch}
 * @throws NotKeptUp
 */
function describe(served, answers, { speed, seconds, count }) {
  const sum = (/** @type {'renewed' | 'lost' | 'errors' | 'skipped'} */ what) =>
    answers.reduce((total, answer) => total + answer[what], 0);
  const renewed = sum('renewed');
  const made = answers
    .flatMap(({ tookMs }) => Object.values(tookMs))
    .reduce((total, { length }) => total + length, 0);
  const isLate = renewed < (KEPT_UP * count * seconds * speed * 1_000) / INTERVAL_MS;
  if (isLate || sum('errors') + sum('skipped') > made / 100 || sum('lost') > renewed / 100) {
    const words = ['lost', 'errors', 'skipped'].map((what) => `${sum(/** @type {'lost'} */ (what))} ${what}`);
    throw new NotKeptUp(`the registry did not keep up: ${renewed} renewed, ${words.join(', ')}`);
  }
  const percentiles = (/** @type {string} */ name) => {
    const tookMs = answers.flatMap((answer) => answer.tookMs[name] ?? []);
    return { p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99) };
  };
  return {
    cpuPercent: (served.cpuPart * 100) / speed,
    delayMs: served.delayMs,
    calls: {
      discover: percentiles('discover'),
      heartbeats: percentiles('heartbeats'),
      register: percentiles('register'),
    },
    renewalsPerSecond: renewed / seconds,
  };
}
