// npm run chaos -- SCENARIO [--OPTION VALUE] [--seed N] [--json]
// Real processes, treated badly; exits 1 where a promise was broken. Needs the built packages ("npm run build").
import { parseArgs } from 'node:util';
import { clients } from './clients.mjs';
import { crash } from './crash.mjs';
import { messages, MODES } from './messages.mjs';
import { takeover } from './takeover.mjs';

/**
 * @typedef {object} Scenario
 * @property {(options: any) => Promise<{ violations: string[] }>} run
 * @property {Record<string, number>} numbers options that are numbers, with their defaults
 * @property {Record<string, number>} [short] other defaults of `--short`, where there is such
 * @property {Record<string, readonly string[]>} [choices] options that are one of some words, the default first
 */

/**
 * Seconds are those of the treatment: starting and ending comes on top. The allowance is made for two cores that 200
 * clients and a registry share.
 * @type {Record<string, Scenario>}
 */
const SCENARIOS = {
  crash: { run: crash, numbers: { rounds: 200 } },
  clients: { run: clients, numbers: { clients: 200, seconds: 180, allowance: 1_250 } },
  takeover: { run: takeover, numbers: { seconds: 30 } },
  messages: {
    run: messages,
    numbers: { count: 100_000 },
    short: { count: 150 },
    choices: { mode: ['all', ...MODES] },
  },
};

/**
 * @param {string} problem
 * @returns {never}
 */
function refuse(problem) {
  console.error(problem);
  for (const [name, { numbers, short, choices = {} }] of Object.entries(SCENARIOS)) {
    const options = [
      ...Object.entries(choices).map(([option, words]) => `[--${option} ${words.join('|')}]`),
      ...Object.entries(numbers).map(([option, fallback]) => `[--${option} ${fallback}]`),
      ...(short === undefined ? [] : ['[--short]']),
    ];
    console.error(`usage: npm run chaos -- ${name} ${options.join(' ')} [--seed N] [--json]`);
  }
  process.exit(2);
}

function parseCommandLine() {
  const all = Object.values(SCENARIOS);
  const names = all.flatMap(({ numbers, choices = {} }) => [
    ...Object.keys(numbers),
    ...Object.keys(choices),
  ]);
  const texts = Object.fromEntries([...names, 'seed'].map((name) => [name, { type: 'string' }]));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ...texts, short: { type: 'boolean' }, json: { type: 'boolean', default: false } },
  });
  const name = positionals[0] ?? '';
  const scenario = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
  if (scenario === undefined || positionals.length > 1)
    throw new Error(`there is no scenario "${positionals.join(' ')}"`);
  const { json, short, ...given } = values;
  if (short !== undefined && scenario.short === undefined) throw new Error(`--short is no option of ${name}`);
  const { choices = {} } = scenario;
  /** @type {Record<string, number | string | boolean>} */
  const options = {
    ...scenario.numbers,
    ...(short === true ? scenario.short : {}),
    ...Object.fromEntries(Object.entries(choices).map(([option, [first]]) => [option, first])),
    seed: Date.now() % 1_000_000,
  };
  for (const [option, text] of Object.entries(given)) {
    if (!(option in options)) throw new Error(`--${option} is no option of ${name}`);
    options[option] = option in choices ? choose(option, text, choices[option]) : toNumber(option, text);
  }
  return { run: scenario.run, options: { ...options, short: short === true }, isJson: json === true };
}

/** @param {string} option @param {unknown} text */
function toNumber(option, text) {
  if (/^\d{1,9}$/.test(String(text)) && (option === 'seed' || Number(text) > 0)) return Number(text);
  throw new Error(`--${option} must be a whole number above 0; got "${text}"`);
}

/** @param {string} option @param {unknown} text @param {readonly string[]} words */
function choose(option, text, words) {
  if (words.includes(String(text))) return String(text);
  throw new Error(`--${option} must be one of ${words.join(', ')}; got "${text}"`);
}

function readCommandLine() {
  try {
    return parseCommandLine();
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

const { run, options, isJson } = readCommandLine();
const report = await run({
  ...options,
  onProgress: (/** @type {string} */ line) => {
    if (!isJson) console.log(line);
  },
});
if (isJson) console.log(JSON.stringify(report));
else console.dir(report, { depth: null });
if (report.violations.length > 0) process.exitCode = 1;
