// npm run bench -- [registry] [--short] [--json FILE]
// Each figure beside its reference, measured in the same run, in turns; only the ratios are worth quoting. Needs wrk
// and the built packages ("npm run build"). Prints what it finds and judges nothing.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { registrySuite } from './registry-suite.mjs';
import { formatReport } from './report.mjs';
import { findWrk } from './wrk.mjs';

const suites = { registry: registrySuite };

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
if (!findWrk()) {
  console.error(
    'wrk is not installed, and no other load generator here is fast enough to measure a registry with',
  );
  process.exit(1);
}

for (const name of /** @type {(keyof typeof suites)[]} */ (names)) {
  const figures = await suites[name]({ short: values.short, onProgress: (line) => console.error(line) });
  console.log(formatReport(name, figures));
  if (values.json !== undefined)
    await writeFile(values.json, JSON.stringify({ suite: name, figures }, null, 2));
}
