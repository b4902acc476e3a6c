import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/**
 * What a run has found, and where: the content of the JSON file.
 * @typedef {object} RunRecord
 * @property {{ cpu: string; cores: number; memoryBytes: number; kernel: string; node: string }} machine
 * @property {string} date when it began, ISO 8601
 * @property {string} commit with "-dirty" where the working tree differed from it; empty where there is no git
 * @property {boolean} short
 * @property {Record<string, import('../suites.mjs').SuiteResult>} suites
 * @property {Record<string, string>} notMeasured why, by suite
 */

/** @param {{ short: boolean }} options @returns {RunRecord} of a run that begins now */
export function beginRecord({ short }) {
  const [first] = cpus();
  return {
    machine: {
      cpu: first?.model.trim() ?? 'unknown',
      cores: cpus().length,
      memoryBytes: totalmem(),
      kernel: `${process.platform} ${release()}`,
      node: process.version,
    },
    date: new Date().toISOString(),
    commit: describeCommit(),
    short,
    suites: {},
    notMeasured: {},
  };
}

/** @param {RunRecord} record */
export function describeRun({ machine, date, commit, short }) {
  const { cpu, cores, memoryBytes, kernel, node } = machine;
  const gib = Math.round(memoryBytes / 1024 ** 3);
  const parts = [`${cores} cores of ${cpu}`, `${gib} GiB`, kernel, `node ${node}`, date.slice(0, 10)];
  return [...parts, ...(commit === '' ? [] : [commit]), ...(short ? ['a short run'] : [])].join(', ');
}

function describeCommit() {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  try {
    const args = ['describe', '--always', '--dirty', '--exclude', '*'];
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}
