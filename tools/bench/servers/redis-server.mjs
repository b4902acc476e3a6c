import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOAD_CORE, SERVER_CORE } from '../process/cores.mjs';
import { findFreePort } from '../process/free-port.mjs';

const START_MS = 10_000;
const STEP_MS = 50;
/** How much longer than it should a round may take on a busy machine. */
const MAX_DELAY_MS = 30_000;
/** So many requests a second it is asked for: it is somewhat faster, so a round is a bit shorter than it says. */
const PACE = 50_000;
/** `redis-benchmark` puts a number in the place of the underscores. */
const KEY = 'key:__rand_int__';

/** @type {Record<'expire' | 'get' | 'set', string[]>} */
const COMMANDS = {
  expire: ['EXPIRE', KEY, '86400'],
  get: ['GET', KEY],
  // As long as the JSON of a record.
  set: ['SET', KEY, 'x'.repeat(400)],
};

/** @typedef {{ port: number; child: import('node:child_process').ChildProcess }} Redis */

/**
 * Redis that keeps nothing on disk, on a free port, on the servers' core.
 * @param {string} directory
 * @param {number} count of the keys that it holds
 * @returns {Promise<Redis>} rejects where it is not installed
 */
export async function startRedis(directory, count) {
  const port = await findFreePort();
  const settings = { port, dir: directory, save: '', appendonly: 'no', bind: '127.0.0.1' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  await once(child, 'spawn');
  spawn('taskset', ['-acp', SERVER_CORE, String(child.pid)], { stdio: 'ignore' }).on(
    'error',
    () => undefined,
  );
  const redis = { port, child };
  for (let leftMs = START_MS; leftMs > 0 && child.exitCode === null; leftMs -= STEP_MS) {
    // Its benchmark goes on for ever where nobody listens yet.
    if (!(await isListening(port))) {
      await sleep(STEP_MS);
      continue;
    }
    const rate = await measureRedis(redis, { command: 'set', count, connections: 1, seconds: 0.5 }).catch(
      () => 0,
    );
    if (rate > 0) return redis;
    await sleep(STEP_MS);
  }
  child.kill('SIGKILL');
  throw new Error('Redis did not start');
}

/**
 * Commands a second in its own protocol, one on its way on each connection: what any server could come to here.
 * @param {Redis} redis
 * @param {{ command: keyof typeof COMMANDS; count: number; connections: number; seconds: number }} load
 */
export async function measureRedis({ port }, { command, count, connections, seconds }) {
  const settings = { p: port, c: connections, P: 1, n: PACE * seconds, r: count };
  const args = Object.entries(settings).flatMap(([name, value]) => [`-${name}`, String(value)]);
  const { stdout } = await promisify(execFile)(
    'taskset',
    ['-c', LOAD_CORE, 'redis-benchmark', ...args, '--csv', ...COMMANDS[command]],
    { timeout: seconds * 1_000 + MAX_DELAY_MS, killSignal: 'SIGKILL' },
  );
  const rate = Number(/^"(?:EXPIRE|GET|SET)[^"]*","([\d.]+)"/m.exec(stdout)?.[1]);
  if (!(rate > 0)) throw new Error(`redis-benchmark told no rate: ${stdout}`);
  return rate;
}

/** @param {number} port @returns {Promise<boolean>} */
function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
