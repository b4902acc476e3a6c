// npm run chaos -- SCENARIO [--OPTION N] [--seed N] [--json]
// Real processes, treated badly; exits 1 where a promise was broken. Needs the built packages ("npm run build").
import { parseArgs } from 'node:util';
import { clients } from './clients.mjs';
import { crash } from './crash.mjs';
import { takeover } from './takeover.mjs';

/**
 * With the options of each, all of them numbers, and their defaults. Seconds are those of the treatment: starting and
 * ending comes on top. The allowance is made for two cores that 200 clients and a registry share.
 * @type {Record<string, { run: (options: any) => Promise<{ violations: string[] }>; numbers: Record<string, number> }>}
 */
const SCENARIOS = {
  crash: { run: crash, numbers: { rounds: 200 } },
  clients: { run: clients, numbers: { clients: 200, seconds: 180, allowance: 1_250 } },
  takeover: { run: takeover, numbers: { seconds: 30 } },
};

/**
 * @param {string} problem
 * @returns {never}
 */
function refuse(problem) {
  console.error(problem);
  for (const [name, { numbers }] of Object.entries(SCENARIOS)) {
    const options = Object.entries(numbers).map(([option, fallback]) => `[--${option} ${fallback}]`);
    console.error(`usage: npm run chaos -- ${name} ${options.join(' ')} [--seed N] [--json]`);
  }
  process.exit(2);
}

function parseCommandLine() {
  const names = Object.values(SCENARIOS).flatMap(({ numbers }) => Object.keys(numbers));
  const texts = Object.fromEntries([...names, 'seed'].map((name) => [name, { type: 'string' }]));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ...texts, json: { type: 'boolean', default: false } },
  });
  const scenario = Object.hasOwn(SCENARIOS, positionals[0] ?? '') ? SCENARIOS[positionals[0]] : undefined;
  if (scenario === undefined || positionals.length > 1)
    throw new Error(`there is no scenario "${positionals.join(' ')}"`);
  const { json, ...given } = values;
  /** @type {Record<string, number>} */
  const numbers = { ...scenario.numbers, seed: Date.now() % 1_000_000 };
  for (const [name, text] of Object.entries(given)) {
    if (!(name in numbers)) throw new Error(`--${name} is no option of ${positionals[0]}`);
    if (!/^\d{1,9}$/.test(String(text)) || (name !== 'seed' && Number(text) === 0))
      throw new Error(`--${name} must be a whole number above 0; got "${text}"`);
    numbers[name] = Number(text);
  }
  return { run: scenario.run, numbers, isJson: json === true };
}

function readCommandLine() {
  try {
    return parseCommandLine();
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

const { run, numbers, isJson } = readCommandLine();
const report = await run({
  ...numbers,
  onProgress: (/** @type {string} */ line) => {
    if (!isJson) console.log(line);
  },
});
if (isJson) console.log(JSON.stringify(report));
else console.dir(report, { depth: null });
if (report.violations.length > 0) process.exitCode = 1;
