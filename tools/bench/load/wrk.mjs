import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LOAD_CORE } from '../process/cores.mjs';

const SCRIPT = fileURLToPath(new URL('requests.lua', import.meta.url));

export function findWrk() {
  return spawnSync('wrk', ['-v']).error === undefined;
}

/**
 * Requests a second that were answered by 200. `kind`: what to send, of `requests.lua`; `count`: how many ids.
 * @param {import('./http-rate.mjs').Load} load
 */
export async function measureRate({ url, kind, count, connections, seconds, first = 0 }) {
  const args = ['-c', LOAD_CORE, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', SCRIPT, url];
  const { stdout } = await promisify(execFile)('taskset', args, {
    env: { ...process.env, BENCH_KIND: kind, BENCH_COUNT: String(count), BENCH_FIRST: String(first) },
  });
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(stdout);
  if (bad !== null) throw new Error(`${bad[1]} requests were not answered by 200\n${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
}
