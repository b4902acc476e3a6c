import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useMembrane } from './support/membrane.js';
import { SETTINGS_OF_A_USER } from './support/processes.js';

const { makeDirectory, start } = useMembrane();

const EXAMPLE = fileURLToPath(new URL('../../../examples/auto-register/', import.meta.url));

/** What differs from run to run. */
function normalize(text: string): string {
  return text
    .replace(/\S+\/membrane-auto-register-\w+/g, 'DIRECTORY')
    .replace(/(port |127\.0\.0\.1:)\d+/g, '$1PORT')
    .replace(/\d+ s\t/g, 'AGE\t');
}

it('the example of a program that registers without a line of code prints what its README shows, whatever its user has set', async () => {
  const temporary = await makeDirectory();
  const environment = { ...SETTINGS_OF_A_USER, TMPDIR: temporary };
  const example = start(process.execPath, [join(EXAMPLE, 'run.mjs')], { environment });
  expect(await example.ended).toBe(0);
  const readme = await readFile(join(EXAMPLE, 'README.md'), 'utf8');
  const [, shown = ''] = /```\n(\$ node --import[^]*?)```/.exec(readme) ?? [];
  expect(shown).toContain('oven');
  expect(normalize(example.said.stdout)).toBe(normalize(shown));
  expect(example.said.stderr).toBe('');
  expect(await readdir(temporary)).toEqual([]);
  expect(await readFile(join(EXAMPLE, 'app.mjs'), 'utf8')).not.toMatch(/import.*membrane/);
});
