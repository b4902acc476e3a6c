import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SERVER_CORE } from './cores.mjs';

/** @typedef {{ url: string; lines: AsyncIterator<string>; child: import('node:child_process').ChildProcess }} Server */

/**
 * A server on its core; the first line it prints is its URL.
 * @param {URL} script
 * @param {string} directory
 * @returns {Promise<Server>}
 */
export async function startServer(script, directory) {
  const file = fileURLToPath(script);
  const child = spawn('taskset', ['-c', SERVER_CORE, process.execPath, '--expose-gc', file, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: url } = await lines.next();
  return { url, lines, child };
}

/** @param {Pick<Server, 'child'>} server */
export async function stopServer({ child }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** @param {Server} server one that prints it when it is asked */
export async function residentBytes({ child, lines }) {
  child.kill('SIGUSR2');
  return Number((await lines.next()).value);
}
