import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, checkOutBase, ROOT } from './base-tree.mjs';
import { runContained } from './process/contained-process.mjs';
import { compareRounds, formatComparison } from './report/comparison.mjs';

/** Without names. The others tell little of the packages in short rounds, or take too long for several. */
const COMPARED = ['registry', 'messages', 'watch', 'cli'];

/** @typedef {import('./report/run-record.mjs').RunRecord} RunRecord */

/**
 * What the working tree changed since a commit: short rounds of both in turns, suite by suite, so that an hour in which
 * the machine is slower is one for both.
 * @param {string} ref
 * @param {{ names: readonly string[]; rounds: number; onProgress: (line: string) => void }} options
 * @returns {Promise<{ text: string; isComplete: boolean }>} not complete where something could not be measured
 */
export async function compareWith(ref, { names, rounds, onProgress }) {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Error('it was stopped'));
  for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(name, onSignal);
  const { signal } = stop;
  const results = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  /** @type {Awaited<ReturnType<typeof checkOutBase>> | undefined} */
  let base;
  try {
    onProgress(`building ${ref} and the working tree`);
    base = await checkOutBase(ref, { signal, onProgress });
    await build(ROOT, signal);
    const baseName = ref === base.commit ? ref : `${ref} (${base.commit})`;
    /** @type {string[]} */
    const parts = [];
    let isComplete = true;
    for (const suite of names.length === 0 ? COMPARED : names) {
      /** @type {Record<'base' | 'tree', import('./report/report.mjs').Figure[][]>} */
      const found = { base: [], tree: [] };
      for (let round = 1; round <= rounds; round += 1) {
        for (const side of /** @type {const} */ (['base', 'tree'])) {
          onProgress(`${suite}, round ${round} of ${rounds}: ${side === 'base' ? ref : 'the working tree'}`);
          const directory = side === 'base' ? base.directory : ROOT;
          const figures = await measure(directory, suite, join(results, 'run.json'), signal);
          if (figures !== undefined) found[side].push(figures);
        }
      }
      const compared = compareRounds(found.base, found.tree);
      if (compared.length === 0) isComplete = false;
      parts.push(
        compared.length === 0
          ? `== ${suite}: could not be measured in both`
          : formatComparison(suite, baseName, compared),
      );
    }
    return { text: parts.join('\n'), isComplete };
  } catch (error) {
    if (signal.aborted) return { text: 'stopped', isComplete: false };
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await base?.remove();
    await rm(results, { recursive: true, force: true });
  }
}

/**
 * One short round of a suite in a tree.
 * @param {string} directory
 * @param {string} suite
 * @param {string} file
 * @param {AbortSignal} signal
 * @returns {Promise<import('./report/report.mjs').Figure[] | undefined>} undefined where it could not measure
 */
async function measure(directory, suite, file, signal) {
  signal.throwIfAborted();
  await rm(file, { force: true });
  const args = [join(directory, 'tools/bench/bench.mjs'), suite, '--short', '--json', file];
  let said = '';
  await runContained(args, {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
    onStderr: (text) => (said += text),
  });
  signal.throwIfAborted();
  try {
    /** @type {RunRecord} */
    const record = JSON.parse(await readFile(file, 'utf8'));
    const figures = record.suites[suite]?.figures;
    if (figures === undefined) console.error(said);
    return figures;
  } catch {
    console.error(said);
    return undefined;
  }
}
