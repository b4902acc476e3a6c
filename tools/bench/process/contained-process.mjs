import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The variable that tells a process that it runs so. */
export const CONTAINED = 'MEMBRANE_BENCH_CONTAINED';

/**
 * Runs a script so that nothing of it stays, however it ends: its processes are a group of their own, which ends with it,
 * and its temporary files are in a directory that is removed.
 * @param {readonly string[]} args of Node
 * @param {{ cwd?: string; stdio: import('node:child_process').StdioOptions; signal: AbortSignal;
 *   onStderr?: (text: string) => void }} options
 * @returns {Promise<number>} its exit code; 1 where it was ended
 */
export async function runContained(args, { cwd, stdio, signal, onStderr }) {
  // A short name: paths of sockets below it have a limit.
  const directory = await mkdtemp(join(tmpdir(), 'mb-'));
  try {
    signal.throwIfAborted();
    const env = { ...process.env, TMPDIR: directory, [CONTAINED]: '1' };
    const child = spawn(process.execPath, args, { cwd, stdio, env, detached: true });
    if (onStderr !== undefined) child.stderr?.setEncoding('utf8').on('data', onStderr);
    const closed = once(child, 'close');
    const endAll = () => endGroup(child.pid);
    signal.addEventListener('abort', endAll, { once: true });
    child.once('exit', endAll);
    const [code] = await closed;
    signal.removeEventListener('abort', endAll);
    return code ?? 1;
  } finally {
    // What has just been ended may still have been writing.
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** @param {number | undefined} leader undefined where it did not start */
function endGroup(leader) {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}
