// Set-up for "npm start" and "npm test": installs what the lock file names, where that has not been done, and with
// --build builds every package. Needs nothing but Node and npm, and does nothing when there is nothing to do.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MIN_NODE = [20, 19];
const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = `${root}/node_modules/.membrane-installed`;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  console.error(`Membrane needs Node ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}`);
  process.exit(1);
}

const lock = createHash('sha256')
  .update(readFileSync(`${root}/package-lock.json`))
  .digest('hex');
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
if (installed !== lock) {
  console.error('Installing dependencies; the SQLite driver may be compiled, which takes two minutes …');
  run('npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, lock);
}
if (process.argv.includes('--build')) {
  run('npx', ['nx', 'run-many', '-t', 'build', '--outputStyle=static']);
}

/**
 * Shows what a step printed only where it failed.
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    // A driver that has to be compiled is, on all cores.
    env: { JOBS: 'max', ...process.env },
  });
  if (status === 0) return;
  console.error(`${stdout}${stderr}\n"${command} ${args.join(' ')}" failed`);
  process.exit(1);
}
