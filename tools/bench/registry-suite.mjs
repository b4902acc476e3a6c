import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from './report.mjs';
import { residentBytes, startServer, stopServer } from './server-process.mjs';
import { measureRate } from './wrk.mjs';

/** @typedef {import('./server-process.mjs').Server} Server */

const FEW = 1_000;
const MANY = 100_000;
const READ_CONNECTIONS = 32;
const WRITE_CONNECTIONS = 64;

/**
 * Registers until that many are held.
 * @param {string} url
 * @param {number} count
 */
async function fill(url, count) {
  for (;;) {
    const response = await fetch(`${url}/status`);
    const { membrane_count: first } = /** @type {{ membrane_count: number }} */ (await response.json());
    if (first >= count) return;
    const seconds = count - first > 10 * FEW ? 4 : 1;
    await measureRate({ url, kind: 'register', count, connections: WRITE_CONNECTIONS, seconds, first });
  }
}

/**
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('./report.mjs').Figure[]>}
 */
export async function registrySuite({ short, onProgress }) {
  const rounds = short ? 1 : 5;
  const seconds = short ? 1 : 3;
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  /** @type {Server[]} */
  const running = [];
  const start = async (/** @type {string} */ script, /** @type {string} */ name) => {
    const server = await startServer(script, join(directory, name));
    running.push(server);
    return server;
  };
  /** @type {import('./report.mjs').Figure[]} */
  const figures = [];
  try {
    const bare = await startServer('bare-server.mjs', directory);
    running.push(bare);
    const few = await start('registry-host.mjs', 'few');
    let many = await start('registry-host.mjs', 'many');

    // Both have answered some requests before their memory is looked at.
    await measureRate({ url: many.url, kind: 'discover', count: 1, connections: 1, seconds: 1 }).catch(
      () => 0,
    );
    const emptyBytes = await residentBytes(many);
    onProgress(`filling one registry with ${FEW}, one with ${MANY}`);
    await fill(few.url, FEW);
    await measureRate({
      url: bare.url,
      kind: 'register',
      count: FEW,
      connections: WRITE_CONNECTIONS,
      seconds: 1,
    });
    await fill(many.url, MANY);
    const fullBytes = await residentBytes(many);

    /** @type {Record<string, number[]>} */
    const rates = {};
    const measure = async (
      /** @type {string} */ name,
      /** @type {Server} */ { url },
      /** @type {'heartbeat' | 'discover' | 'register'} */ kind,
      /** @type {number} */ count,
    ) => {
      const connections = kind === 'register' ? WRITE_CONNECTIONS : READ_CONNECTIONS;
      (rates[name] ??= []).push(await measureRate({ url, kind, count, connections, seconds }));
    };
    for (let round = 1; round <= rounds; round += 1) {
      onProgress(`round ${round} of ${rounds}`);
      for (const kind of /** @type {const} */ (['heartbeat', 'discover', 'register'])) {
        await measure(`bare ${kind}`, bare, kind, FEW);
        await measure(`few ${kind}`, few, kind, FEW);
      }
      await measure('many register', many, 'register', MANY);
    }
    const rate = (/** @type {string} */ name) => median(rates[name] ?? []);

    await stopServer(many);
    const startMs = performance.now();
    many = await start('registry-host.mjs', 'many');
    const loadMs = performance.now() - startMs;
    await sleep(100);

    figures.push(
      .../** @type {const} */ (['heartbeat', 'discover']).map((kind) => ({
        what: `${kind}, ${READ_CONNECTIONS} connections`,
        value: rate(`few ${kind}`),
        unit: '/s',
        reference: rate(`bare ${kind}`),
        referenceName: 'bare node:http',
        target: '0.85 or better',
      })),
      {
        what: `durable register, ${WRITE_CONNECTIONS} in flight, ${FEW} held`,
        value: rate('few register'),
        unit: '/s',
        reference: rate('bare register'),
        referenceName: 'bare node:http, zod, one row, group commit',
        target: '0.50 or better',
      },
      {
        what: `durable register, ${WRITE_CONNECTIONS} in flight, ${MANY} held`,
        value: rate('many register'),
        unit: '/s',
        reference: rate('few register'),
        referenceName: `with ${FEW} held`,
        target: '0.80 to 1.25',
      },
      { what: `start until ${MANY} are loaded`, value: loadMs / 1_000, unit: 's', target: 'under 3 s' },
      {
        what: 'memory a membrane',
        value: (fullBytes - emptyBytes) / MANY,
        unit: 'bytes',
        target: 'at most 2,048',
      },
    );
  } finally {
    for (const { child } of running) child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
  return figures;
}
