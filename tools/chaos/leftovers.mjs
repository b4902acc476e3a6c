// What a scenario starts and makes, and what must be gone when it ends, however it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
/** @type {Set<string>} */
const directories = new Set();

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  // A process that was killed just now may still be writing.
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

/**
 * Starts a Node process. Settings of whoever runs this are none of its own.
 * @param {string[]} args
 * @param {import('node:child_process').StdioOptions} stdio
 */
export function startNode(args, stdio) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('MEMBRANE_'));
  const child = spawn(process.execPath, args, { stdio, env: Object.fromEntries(environment) });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/**
 * Resolves when it is gone.
 * @param {import('node:child_process').ChildProcess} child
 * @param {'SIGKILL' | 'SIGTERM'} signal
 */
export async function endProcess(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

export async function makeDirectory() {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-chaos-'));
  directories.add(directory);
  return directory;
}

/** @param {string} directory */
export function removeDirectory(directory) {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}

/**
 * Leaves a directory there, for people to look into.
 * @param {string} directory
 */
export function keepDirectory(directory) {
  directories.delete(directory);
}
