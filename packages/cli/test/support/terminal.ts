import { spawnSync } from 'node:child_process';

/** Whether there is `script` of util-linux, which gives a command a terminal; says what is skipped without it. */
export function hasTerminals(what: string): boolean {
  if (String(spawnSync('script', ['--version']).stdout).includes('util-linux')) return true;
  if (process.env['CI'] === 'true') throw new Error('script of util-linux is not installed');
  process.stderr.write(`\nSKIPPED: ${what}, since script of util-linux is not installed\n`);
  return false;
}
