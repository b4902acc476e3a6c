import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVER_CORE } from '../process/cores.mjs';
import { findFreePort } from '../process/free-port.mjs';

const ETCD_START_MS = 10_000;

/**
 * etcd with a data directory of its own, on free ports, on the servers' core.
 * @param {string} directory
 * @returns {Promise<{ url: string; child: import('node:child_process').ChildProcess }>} rejects where it is not installed
 */
export async function startEtcd(directory) {
  const [clients, peers] = [await findFreePort(), await findFreePort()].map(
    (port) => `http://127.0.0.1:${port}`,
  );
  const settings = {
    'data-dir': directory,
    'listen-client-urls': clients,
    'advertise-client-urls': clients,
    'listen-peer-urls': peers,
    'initial-advertise-peer-urls': peers,
    'initial-cluster': `default=${peers}`,
  };
  const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const child = spawn('etcd', args, { stdio: 'ignore' });
  await once(child, 'spawn');
  // Its threads inherit the core.
  spawn('taskset', ['-acp', SERVER_CORE, String(child.pid)], { stdio: 'ignore' }).on(
    'error',
    () => undefined,
  );
  for (let leftMs = ETCD_START_MS; leftMs > 0 && child.exitCode === null; leftMs -= 100) {
    const health = await fetch(`${clients}/health`).then((answer) => answer.text(), String);
    if (health.includes('true')) return { url: clients, child };
    await sleep(100);
  }
  child.kill('SIGKILL');
  throw new Error('etcd did not start');
}
