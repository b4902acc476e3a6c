// The registry that is looked at: node registry-process.mjs DIRECTORY. Tells its parent process its URL, then what its
// parent asks for.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRegistry } from '@membrane/registry';
import { answerParent } from '../process/answer-parent.mjs';
import '../process/own-process.mjs';

/** The delay is looked at so often; shorter stalls are not all seen, and looking costs processor time too. */
const RESOLUTION_MS = 10;

const registry = createRegistry({ port: 0, data: process.argv[2] });
const beganMs = performance.now();
await registry.start();
const startMs = performance.now() - beganMs;

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
/** What it records is the time from one look to the next. @param {number} nanoseconds */
const toDelayMs = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
let since = { cpu: process.cpuUsage(), atMs: performance.now() };

/** @type {Record<string, () => Promise<unknown>>} */
const TASKS = {
  /** What it took since it was last asked. */
  async window() {
    const nowMs = performance.now();
    const { user, system } = process.cpuUsage(since.cpu);
    const answer = {
      cpuPart: (user + system) / 1_000 / (nowMs - since.atMs),
      delayMs: {
        p50: toDelayMs(delay.percentile(50)),
        p99: toDelayMs(delay.percentile(99)),
        longest: toDelayMs(delay.max),
      },
    };
    delay.reset();
    since = { cpu: process.cpuUsage(), atMs: performance.now() };
    return answer;
  },
  async memory() {
    for (let round = 0; round < 3; round += 1) {
      globalThis.gc?.();
      await sleep(100);
    }
    const { rss, heapUsed } = process.memoryUsage();
    return { rss, heapUsed };
  },
};

answerParent(TASKS);
process.send?.({ url: registry.url, startMs });
