// The example from start to end: a registry, the app, what others see of it, and that it leaves when it is stopped.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// What a user has set for programs of their own is not part of the show.
for (const name of Object.keys(process.env)) if (name.startsWith('MEMBRANE_')) delete process.env[name];

const here = fileURLToPath(new URL('.', import.meta.url));
const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const MEMBRANE = join(packages, 'cli', 'bin', 'membrane.js');
const REGISTRY = join(packages, 'registry', 'bin', 'membrane-registry.js');
// From an installed package: --import @membrane/client/auto
const AUTO = join(packages, 'client', 'dist', 'auto.js');
const POLL_MS = 50;
const PATIENCE_MS = 10_000;

const directory = await mkdtemp(join(tmpdir(), 'membrane-auto-register-'));
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => void leave().then(() => process.exit(1)));
try {
  await tell();
} catch (error) {
  console.error(`the example failed: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await leave();
}

async function tell() {
  const registry = start([REGISTRY, '--port', '0', '--data', ':memory:'], {});
  let url = '';
  for await (const line of createInterface({ input: registry.stdout })) {
    const { msg, url: ready } = JSON.parse(line);
    if (msg !== 'ready') continue;
    url = ready;
    break;
  }
  const environment = { MEMBRANE_REGISTRY_URL: url, MEMBRANE_SHARED_ROOT: join(directory, 'shared') };

  console.log('$ node --import @membrane/client/auto app.mjs');
  const app = start(['--import', AUTO, 'app.mjs'], environment);
  app.stdout.pipe(process.stdout);
  app.stderr.pipe(process.stderr);
  await once(app.stdout, 'data');
  await until('it is registered', () => membrane(environment, 'discover', 'oven').status === 0);

  console.log('$ membrane list');
  process.stdout.write(membrane(environment, 'list').stdout);
  console.log('It is stopped by SIGTERM, and leaves.');
  const ended = once(app, 'exit');
  app.kill('SIGTERM');
  await ended;
  console.log('$ membrane discover oven');
  process.stdout.write(membrane(environment, 'discover', 'oven').stderr);
}

/**
 * @param {string[]} args
 * @param {Record<string, string>} environment
 */
function start(args, environment) {
  const child = spawn(process.execPath, args, {
    cwd: here,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

/**
 * @param {Record<string, string>} environment
 * @param {...string} args
 */
function membrane(environment, ...args) {
  return spawnSync(process.execPath, [MEMBRANE, ...args], {
    cwd: here,
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
}

/**
 * @param {string} what
 * @param {() => boolean} ask
 */
async function until(what, ask) {
  const endMs = performance.now() + PATIENCE_MS;
  while (!ask()) {
    if (performance.now() > endMs) throw new Error(`it took longer than ${PATIENCE_MS} ms until ${what}`);
    await sleep(POLL_MS);
  }
}

async function leave() {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
  await rm(directory, { recursive: true, force: true });
}
