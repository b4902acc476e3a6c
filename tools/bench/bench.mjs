// npm run bench -- [SUITE...] [--short] [--json FILE] [--svg FILE]
// npm run bench -- --from FILE [--svg FILE]: prints and draws what an earlier run has kept by --json
// npm run bench -- --compare REF [SUITE...] [--rounds N]: what the working tree changed since that commit
// Each figure beside its reference, measured in the same run; only the ratios are worth quoting. Needs the built
// packages ("npm run build"). Prints what it finds and judges nothing: it exits by 1 only where a suite could not measure.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareWith } from './compare.mjs';
import { CONTAINED, runContained } from './process/contained-process.mjs';
import { drawRun } from './report/plot.mjs';
import { formatReport } from './report/report.mjs';
import { beginRecord, describeRun } from './report/run-record.mjs';
import { runSuite, SUITE_NAMES } from './suites.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
    from: { type: 'string' },
    compare: { type: 'string' },
    rounds: { type: 'string', default: '3' },
  },
});
const unknown = positionals.filter((name) => !SUITE_NAMES.includes(name));
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(', ')}; there are: ${SUITE_NAMES.join(', ')}`);
  process.exit(2);
}
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 3) {
  console.error('--rounds takes a number, 3 or more: of fewer, no noise can be told');
  process.exit(2);
}

const onProgress = (/** @type {string} */ line) => console.error(line);
if (values.compare === undefined && values.from === undefined && process.env[CONTAINED] === undefined) {
  process.exitCode = await measureContained();
} else if (values.compare === undefined) {
  const record = values.from === undefined ? await measure(positionals) : await readRecord(values.from);
  console.log(describeRun(record));
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(record, null, 2)}\n`);
  if (values.svg !== undefined) await writeFile(values.svg, drawRun(record));
  if (Object.keys(record.notMeasured).length > 0) process.exitCode = 1;
} else {
  const { text, isComplete } = await compareWith(values.compare, { names: positionals, rounds, onProgress });
  console.log(text);
  if (!isComplete) process.exitCode = 1;
}

/** All of this in a process that leaves nothing behind, even where it is stopped. @returns {Promise<number>} its exit code */
async function measureContained() {
  const stop = new AbortController();
  for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(name, () => stop.abort(new Error('it was stopped')));
  }
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  return runContained(args, { stdio: 'inherit', signal: stop.signal });
}

/** @param {readonly string[]} names all where there are none */
async function measure(names) {
  const record = beginRecord({ short: values.short });
  for (const name of names.length === 0 ? SUITE_NAMES : names) {
    onProgress(`== ${name}`);
    try {
      const result = await runSuite(name, { short: values.short, onProgress });
      console.log(formatReport(name, result.figures));
      record.suites[name] = result;
    } catch (error) {
      // The others are measured all the same.
      console.error(error);
      const why = error instanceof Error ? error.message : String(error);
      console.log(`== ${name}: not measured: ${why}`);
      record.notMeasured[name] = why;
    }
  }
  return record;
}

/** @param {string} file @returns {Promise<import('./report/run-record.mjs').RunRecord>} */
async function readRecord(file) {
  /** @type {import('./report/run-record.mjs').RunRecord} */
  const record = JSON.parse(await readFile(file, 'utf8'));
  for (const [name, { figures }] of Object.entries(record.suites)) console.log(formatReport(name, figures));
  return record;
}
