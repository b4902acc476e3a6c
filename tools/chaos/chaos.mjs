// npm run chaos -- SCENARIO [--rounds N] [--seed N] [--json]
// Real processes, treated badly; exits 1 where a promise was broken. Needs the built packages ("npm run build").
import { parseArgs } from 'node:util';
import { crash } from './crash.mjs';

const scenarios = { crash };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const scenario = Object.entries(scenarios).find(([name]) => name === positionals[0])?.[1];
if (scenario === undefined) {
  console.error(
    `usage: npm run chaos -- ${Object.keys(scenarios).join('|')} [--rounds N] [--seed N] [--json]`,
  );
  process.exit(2);
}

const report = await scenario({
  rounds: Number(values.rounds ?? 200),
  seed: Number(values.seed ?? Date.now() % 1_000_000),
  onRound: (/** @type {string} */ line) => {
    if (!values.json) console.log(line);
  },
});
console.log(values.json ? JSON.stringify(report) : report);
if (report.violations.length > 0) process.exitCode = 1;
