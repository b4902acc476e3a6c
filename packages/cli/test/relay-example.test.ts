import { spawnSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useMembrane } from './support/membrane.js';
import { SETTINGS_OF_A_USER } from './support/processes.js';

const { makeDirectory, start } = useMembrane();

const EXAMPLE = fileURLToPath(new URL('../../../examples/distributed-namespace/relay/', import.meta.url));

/** Whether this user may make hosts; says what is skipped where not. */
function hasHosts(): boolean {
  const name = `membrane-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.status === 0) {
    spawnSync('ip', ['netns', 'delete', name]);
    return true;
  }
  const why = made.error?.message ?? made.stderr.trim();
  if (process.env['CI'] === 'true') throw new Error(`no network namespace can be made: ${why}`);
  process.stderr.write(
    `\nSKIPPED: messages between hosts, since no network namespace can be made (${why})\n`,
  );
  return false;
}

it('hosts reach each other by a network, a volume, a common parent, or the registry, as the README shows', async () => {
  if (!hasHosts()) return;
  const temporary = await makeDirectory();
  const environment = { ...SETTINGS_OF_A_USER, TMPDIR: temporary };
  const example = start(process.execPath, [join(EXAMPLE, 'run.mjs')], { environment });
  const code = await example.ended;
  const { stdout, stderr } = example.said;
  const readme = await readFile(join(EXAMPLE, 'README.md'), 'utf8');
  const [, shown = ''] = /```\n\$ node [^\n]*\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).toContain('processed by relay');
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: shown, stderr: '' });
  expect(await readdir(temporary)).toEqual([]);
  expect(spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout).not.toContain(`-hall`);
}, 120_000);
