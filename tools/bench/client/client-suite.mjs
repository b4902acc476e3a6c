import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MANY = 10_000;

/** @typedef {{ registeringMs: number; requests: number; renewals: number; cpuMs: number; timers: number; heapBytes: number }} Cost */

const fileOf = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * What it costs a process to keep many membranes registered, beside one that keeps a single one; and to find one that is
 * known already.
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function clientSuite({ short, onProgress }) {
  const periods = short ? 3 : 15;
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  const registry = spawn(process.execPath, [fileOf('../servers/registry-host.mjs'), directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const lines = createInterface({ input: registry.stdout })[Symbol.asyncIterator]();
    const { value: url } = await lines.next();
    const measure = async (/** @type {number} */ count) => {
      onProgress(`a process with ${count}`);
      const args = ['--expose-gc', fileOf('client-host.mjs'), url, String(count), String(periods)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      return /** @type {Cost} */ (JSON.parse(stdout));
    };
    const one = await measure(1);
    const many = await measure(MANY);
    onProgress('finding what is known');
    const discovers = [fileOf('discover-host.mjs'), url, short ? '50000' : '300000', short ? '3' : '9'];
    const { stdout } = await promisify(execFile)(process.execPath, discovers);
    /** @type {Record<'bare' | 'remembered' | 'replica' | 'peek', number>} */
    const ns = JSON.parse(stdout);
    const besideBare = { unit: 'ns', reference: ns.bare, referenceName: 'async Map.get' };
    const beside = (/** @type {keyof Cost} */ what) => ({ reference: one[what], referenceName: 'with 1' });
    return [
      {
        what: `requests a period, ${MANY} kept`,
        value: many.requests,
        unit: '',
        ...beside('requests'),
        target: '1.0',
      },
      { what: 'live timers', value: many.timers, unit: '', ...beside('timers'), target: '1.0' },
      {
        what: 'processor time a period',
        value: many.cpuMs,
        unit: 'ms',
        ...beside('cpuMs'),
        target: '10.0 or less',
      },
      {
        what: 'processor time a renewal',
        value: (many.cpuMs * 1_000) / MANY,
        unit: 'us',
        target: 'at most 5',
      },
      {
        what: 'heap a membrane',
        value: (many.heapBytes - one.heapBytes) / MANY,
        unit: 'bytes',
        target: 'at most 8,192',
      },
      {
        what: 'registrations',
        value: (MANY * 1_000) / many.registeringMs,
        unit: '/s',
        target: '',
      },
      { what: 'discover, remembered', value: ns.remembered, ...besideBare, target: 'under 1,000 ns' },
      { what: 'discover, from the replica', value: ns.replica, ...besideBare, target: 'under 1,000 ns' },
      { what: 'peek, from the replica', value: ns.peek, ...besideBare, target: 'under 1,000 ns' },
    ];
  } finally {
    registry.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}
