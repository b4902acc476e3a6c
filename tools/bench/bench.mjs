// npm run bench -- [registry] [client] [messages] [watch] [balancing] [--short] [--json FILE]
// Each figure beside its reference, measured in the same run; only the ratios are worth quoting. Needs the built
// packages ("npm run build"), and wrk for the registry. Prints what it finds and judges nothing.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { balancingSuite } from './balancing-suite.mjs';
import { clientSuite } from './client-suite.mjs';
import { messagesSuite } from './messages-suite.mjs';
import { registrySuite } from './registry-suite.mjs';
import { formatReport } from './report.mjs';
import { watchSuite } from './watch-suite.mjs';
import { findWrk } from './wrk.mjs';

const suites = {
  registry: registrySuite,
  client: clientSuite,
  messages: messagesSuite,
  watch: watchSuite,
  balancing: balancingSuite,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, json: { type: 'string' } },
});
const names = positionals.length === 0 ? Object.keys(suites) : positionals;
const unknown = names.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(', ')}; there are: ${Object.keys(suites).join(', ')}`);
  process.exit(2);
}
if (names.includes('registry') && !findWrk()) {
  console.error(
    'wrk is not installed, and no other load generator here is fast enough to measure a registry with',
  );
  process.exit(1);
}

/** @type {Record<string, import('./report.mjs').Figure[]>} */
const found = {};
for (const name of /** @type {(keyof typeof suites)[]} */ (names)) {
  const figures = await suites[name]({ short: values.short, onProgress: (line) => console.error(line) });
  console.log(formatReport(name, figures));
  found[name] = figures;
}
if (values.json !== undefined) await writeFile(values.json, JSON.stringify(found, null, 2));
