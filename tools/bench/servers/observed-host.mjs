// The registry, and what it costs: node --expose-gc observed-host.mjs DIRECTORY PORT. Tells its parent
// process its URL, and then what it asks for.
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRegistry } from '@membrane/registry';
import { answerParent } from '../process/answer-parent.mjs';
import '../process/own-process.mjs';

const RESOLUTION_MS = 5;

const [data = '', port = '0'] = process.argv.slice(2);
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let longestGcMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration);
}).observe({ entryTypes: ['gc'] });
let cpu = process.cpuUsage();
let sinceMs = performance.now();

/** @type {Record<string, () => Promise<unknown>>} */
const TASKS = {
  /** In bytes, once what is no more needed has gone. */
  async memory() {
    for (let round = 0; round < 5; round += 1) {
      globalThis.gc?.();
      await sleep(200);
    }
    return process.memoryUsage().rss;
  },
  async begin() {
    delays.enable();
    delays.reset();
    longestGcMs = 0;
    cpu = process.cpuUsage();
    sinceMs = performance.now();
  },
  /** Since `begin`. */
  async end() {
    const { user, system } = process.cpuUsage(cpu);
    const tookMs = performance.now() - sinceMs;
    delays.disable();
    // What the timer itself waits is no stall.
    const longestStallMs = Math.max(0, delays.max / 1e6 - RESOLUTION_MS);
    return { cpu: (user + system) / 1_000 / tookMs, longestStallMs, longestGcMs };
  },
};

answerParent(TASKS);
const startMs = performance.now();
const registry = createRegistry({ port: Number(port), data });
await registry.start();
process.once('SIGTERM', () => void registry.stop().then(() => process.exit()));
process.send?.({ url: registry.url, startedMs: performance.now() - startMs });
