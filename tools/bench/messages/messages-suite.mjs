import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { LOAD_CORE, SERVER_CORE } from '../process/cores.mjs';
import { SUBJECTS } from './message-subjects.mjs';
import { median } from '../report/report.mjs';
import { ask, memoryOf, startWorker, stopWorker } from '../process/worker-process.mjs';

const IN_FLIGHT = 64;
const MIB = 1024 * 1024;
/** Messages of one measurement; those that reach a disk are fewer. */
const COUNTS = { latency: 3_000, rate: 30_000, diskLatency: 400, diskRate: 1_500 };
const ON_DISK = new Set(['directory', 'shared-volume', 'mailbox']);

const fileOf = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

/** @typedef {import('../process/worker-process.mjs').Worker} Worker */
/** @typedef {{ receiver: Worker; sender: Worker }} Pair */

/** @param {string} name @param {import('./message-subjects.mjs').Place} place @returns {Promise<Pair>} */
async function startPair(name, place) {
  const places = [name, JSON.stringify(place)];
  const { worker: receiver, word } = await startWorker(
    new URL('message-receiver.mjs', import.meta.url),
    places,
    SERVER_CORE,
  );
  const { worker: sender } = await startWorker(
    new URL('message-sender.mjs', import.meta.url),
    [...places, word.address],
    LOAD_CORE,
  );
  return { receiver, sender };
}

/**
 * Messages and their acknowledgement between two processes, beside bare transports and Moleculer, in turns.
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function messagesSuite({ short, onProgress }) {
  const rounds = short ? 1 : 5;
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  const registry = spawn(
    process.execPath,
    [fileOf('../servers/registry-host.mjs'), join(directory, 'registry')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  /** @type {Map<string, Pair>} */
  const pairs = new Map();
  try {
    const lines = createInterface({ input: registry.stdout })[Symbol.asyncIterator]();
    const { value: registryUrl } = await lines.next();
    const place = { directory, registryUrl };
    for (const name of Object.keys(SUBJECTS)) {
      try {
        pairs.set(name, await startPair(name, place));
      } catch (error) {
        onProgress(
          `not measured: ${SUBJECTS[name]?.name} (${error instanceof Error ? error.message : error})`,
        );
      }
    }
    /** @type {Record<string, { latency: number[]; rate: number[] }>} */
    const found = {};
    for (let round = 0; round <= rounds; round += 1) {
      for (const [name, { sender }] of pairs) {
        onProgress(`${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${SUBJECTS[name]?.name}`);
        const isOnDisk = ON_DISK.has(name);
        const latency = await ask(sender, {
          what: 'latency',
          count: isOnDisk ? COUNTS.diskLatency : COUNTS.latency,
        });
        const rate = await ask(sender, {
          what: 'rate',
          count: isOnDisk ? COUNTS.diskRate : COUNTS.rate,
          atOnce: IN_FLIGHT,
        });
        // The first round warms the code up.
        if (round === 0) continue;
        (found[name] ??= { latency: [], rate: [] }).latency.push(latency);
        found[name].rate.push(rate);
      }
    }
    const ipc = pairs.get('ipc');
    return [...compare(found), ...(ipc === undefined ? [] : await measureGrowth(ipc, short, onProgress))];
  } finally {
    for (const { sender, receiver } of pairs.values())
      await Promise.all([stopWorker(sender), stopWorker(receiver)]);
    registry.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

/** @param {Record<string, { latency: number[]; rate: number[] }>} found */
function compare(found) {
  /** @type {import('../report/report.mjs').Figure[]} */
  const figures = [];
  /** @param {'latency' | 'rate'} what @param {string} name @param {string | undefined} reference @param {string} target */
  const add = (what, name, reference, target) => {
    const measured = found[name]?.[what];
    if (measured === undefined) return;
    const beside = reference === undefined ? undefined : found[reference]?.[what];
    figures.push({
      what:
        what === 'latency'
          ? `${SUBJECTS[name]?.name}, one at a time, p50`
          : `${SUBJECTS[name]?.name}, ${IN_FLIGHT} in flight`,
      value: median(measured),
      unit: what === 'latency' ? 'us' : '/s',
      ...(beside === undefined
        ? {}
        : { reference: median(beside), referenceName: SUBJECTS[reference ?? '']?.name ?? '' }),
      target: beside === undefined && reference !== undefined ? `${target} (no reference)` : target,
    });
  };
  add('latency', 'ipc', 'ws-unix', '1.60 or less');
  add('rate', 'ipc', 'ws-unix', '0.60 or more');
  add('latency', 'network', 'moleculer', 'below 1.00');
  add('rate', 'network', 'moleculer', '1.10 or more');
  add('latency', 'network', 'ws-tcp', '');
  add('rate', 'network', 'ws-tcp', '');
  add('latency', 'shared-volume', 'directory', '1.50 or less');
  add('rate', 'shared-volume', 'directory', '');
  add('latency', 'mailbox', undefined, '');
  add('rate', 'mailbox', undefined, '');
  add('latency', 'post-unix', 'ws-unix', '');
  add('latency', 'post-tcp', 'ws-tcp', '');
  add('rate', 'post-tcp', 'ws-tcp', '');
  return figures;
}

/**
 * What a million messages leave in the memory of both ends.
 * @param {Pair} pair
 * @param {boolean} short
 * @param {(line: string) => void} onProgress
 */
async function measureGrowth({ receiver, sender }, short, onProgress) {
  const count = short ? 100_000 : 1_000_000;
  const measure = async (/** @type {number} */ messages) => {
    await ask(sender, { what: 'rate', count: messages, atOnce: IN_FLIGHT });
    return { sender: await memoryOf(sender), receiver: await memoryOf(receiver) };
  };
  onProgress(`${count.toLocaleString('en-US')} messages, for what they leave in memory`);
  const early = await measure(count / 10);
  const late = await measure((count * 9) / 10);
  return /** @type {const} */ (['sender', 'receiver']).flatMap((end) =>
    /** @type {const} */ (['heapUsed', 'rss']).map((what) => ({
      what: `${what === 'rss' ? 'resident' : 'heap'}, ${end}, after ${count.toLocaleString('en-US')} messages`,
      value: late[end][what] / MIB,
      unit: 'MiB',
      reference: early[end][what] / MIB,
      referenceName: 'after a tenth',
      target: '1.1 or less',
    })),
  );
}
