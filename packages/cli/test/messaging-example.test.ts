import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useMembrane } from './support/membrane.js';
import { SETTINGS_OF_A_USER } from './support/processes.js';

const { makeDirectory, start } = useMembrane();

const EXAMPLE = fileURLToPath(new URL('../../../examples/distributed-namespace/messaging/', import.meta.url));

/** What several processes print comes in any order. */
const sortLines = (text: string): string[] => text.trimEnd().split('\n').sort();

it('the example of messages prints what its README shows, whatever its user has set', async () => {
  const temporary = await makeDirectory();
  const environment = { ...SETTINGS_OF_A_USER, TMPDIR: temporary };
  const example = start(process.execPath, [join(EXAMPLE, 'run.mjs')], { environment });
  const code = await example.ended;
  expect({ code, stderr: example.said.stderr }).toEqual({ code: 0, stderr: '' });
  const readme = await readFile(join(EXAMPLE, 'README.md'), 'utf8');
  const [, shown = ''] = /```\n\$ node [^\n]*\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).toContain('oven');
  expect(sortLines(example.said.stdout)).toEqual(sortLines(shown));
  expect(await readdir(temporary)).toEqual([]);
});
