// What `npm start` shows: a registry, a small tree of membranes that find each other, one that falls silent, and a
// restart that loses nothing. Then the registry stays up until Ctrl-C. With --once it ends after the story.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import { RegistryApi } from '@membrane/client';

const here = dirname(fileURLToPath(import.meta.url));
const membrane = join(here, '../../../packages/cli/bin/membrane.js');
const endsAfterStory = process.argv.includes('--once');
const data = mkdtempSync(join(tmpdir(), 'membrane-quickstart-'));

/** Longest wait for anything that is to happen. */
const PATIENCE_MS = 20_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

const colored = process.stdout.isTTY && !process.env.NO_COLOR;
const say = (/** @type {string} */ text) =>
  console.log(colored ? styleText('bold', `\n${text}`) : `\n${text}`);

/**
 * @template {import('node:child_process').ChildProcess} Child
 * @param {Child} child
 */
function keep(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/**
 * Shows a command and what it prints, as its user sees it: a table on a terminal.
 * @param {string[]} args
 */
async function show(...args) {
  console.log(`$ membrane ${args.join(' ')}`);
  const command = keep(
    spawn(process.execPath, [membrane, ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, MEMBRANE_REGISTRY_URL: url },
    }),
  );
  const [code] = await once(command, 'exit');
  if (code !== 0) throw new Error(`membrane ${args.join(' ')} exited by ${code}`);
}

/** @param {string} port */
async function startRegistry(port) {
  const args = [
    membrane,
    'registry',
    'start',
    '--json',
    '--port',
    port,
    '--data',
    data,
    '--log-level',
    'warn',
  ];
  // The log is for an operator; here only what goes wrong is of interest.
  const registry = keep(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  const lines = createInterface({ input: registry.stdout });
  for await (const line of lines) return { registry, url: String(JSON.parse(line).url) };
  throw new Error('the registry did not start');
}

/**
 * @param {string} id
 * @param {string} [parent]
 */
async function startMember(id, parent) {
  const args = parent === undefined ? [url, id] : [url, id, parent];
  const member = keep(fork(join(here, 'member.mjs'), args));
  await new Promise((resolve, reject) => {
    member.once('message', resolve);
    member.once('exit', () => reject(new Error(`${id} could not register`)));
  });
  return member;
}

/**
 * @param {string} what
 * @param {() => Promise<boolean>} condition
 */
async function until(what, condition) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it took too long until ${what}`);
    await sleep(50);
  }
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child) {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

let ending = false;
async function end(exitCode = 0) {
  if (ending) return;
  ending = true;
  await Promise.all([...children].map(stop));
  rmSync(data, { recursive: true, force: true });
  process.exit(exitCode);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end());

let url = '';
try {
  say('A registry starts, on SQLite.');
  let registry;
  ({ registry, url } = await startRegistry('0'));
  console.log(`It serves ${url}`);
  const api = new RegistryApi({ registryUrl: url });

  say('Four processes register over HTTP: a house, a kitchen in it, an oven and a lamp in the kitchen.');
  await startMember('house');
  await startMember('kitchen', 'house');
  await startMember('oven', 'kitchen');
  const lamp = await startMember('lamp', 'kitchen');
  await show('list');

  say('Anybody finds the oven by its name.');
  await show('discover', 'oven');

  say(
    'The lamp is killed. It promised a heartbeat every 0.5 s: after two of them missed it is unhealthy ...',
  );
  lamp.kill('SIGKILL');
  await until('the lamp is unhealthy', async () => (await api.discover('lamp'))?.status === 'unhealthy');
  await show('list', '--parent', 'kitchen');
  say('... and after five it is gone.');
  await until('the lamp is gone', async () => (await api.discover('lamp')) === undefined);
  await show('list', '--parent', 'kitchen');

  say('The registry stops, and starts again on the same data: everything is still there.');
  await stop(registry);
  ({ registry } = await startRegistry(new URL(url).port));
  await show('list');

  if (endsAfterStory) {
    await end();
  } else {
    say(`The registry and its three membranes stay up. In another terminal, from here, try`);
    console.log(`  node packages/cli/bin/membrane.js list --registry-url ${url}`);
    console.log(`  curl ${url}/discover/oven`);
    console.log(`or open ${url}/docs in a browser. Ctrl-C ends it and leaves nothing behind.`);
  }
} catch (error) {
  if (!ending) {
    console.error(`npm start failed: ${error instanceof Error ? error.message : error}`);
    await end(1);
  }
}
