import { readFileSync } from 'node:fs';
import { median, slope } from './statistics.mjs';

const PERIOD_MS = 1_000;
const KIB_PER_MIB = 1_024;
const MS_PER_MINUTE = 60_000;

/** The resident memory of some processes over time. */
export class MemorySample {
  #pids;
  /** Medians over the processes. @type {{ x: number; y: number }[]} */
  #points = [];
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {readonly number[]} pids */
  constructor(pids) {
    this.#pids = pids;
  }

  start() {
    this.#timer = setInterval(() => this.#take(), PERIOD_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** In MiB. */
  report() {
    const third = Math.ceil(this.#points.length / 3);
    const medianOf = (/** @type {{ y: number }[]} */ points) => round(median(points.map(({ y }) => y)));
    return {
      processes: this.#pids.length,
      firstThirdMib: medianOf(this.#points.slice(0, third)),
      lastThirdMib: medianOf(this.#points.slice(-third)),
      mibPerMinute: round(slope(this.#points) * MS_PER_MINUTE),
    };
  }

  #take() {
    const sizes = this.#pids.map(readMib).filter((mib) => mib !== undefined);
    const y = median(sizes);
    if (y !== undefined) this.#points.push({ x: Date.now(), y });
  }
}

/** @param {number} pid */
function readMib(pid) {
  try {
    const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) / KIB_PER_MIB;
  } catch {
    // It ended, which is told elsewhere.
    return undefined;
  }
}

/** @param {number | undefined} value */
function round(value) {
  return value === undefined ? undefined : Math.round(value * 100) / 100;
}
