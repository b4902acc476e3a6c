// What `npm start` shows: a registry, a small tree of processes that find each other and send messages, one that falls silent, and a
// registry that loses everything and gets it back. Then it stays up until Ctrl-C. With --once it ends after the story.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import { createNamespaceClient } from '@membrane/client';

// What a user has set for programs of their own is not part of the show.
for (const name of Object.keys(process.env)) if (name.startsWith('MEMBRANE_')) delete process.env[name];

const here = dirname(fileURLToPath(import.meta.url));
const membrane = join(here, '../../../packages/cli/bin/membrane.js');
const endsAfterStory = process.argv.includes('--once');
const directory = mkdtempSync(join(tmpdir(), 'membrane-quickstart-'));
const data = join(directory, 'registry');
// The shared volume, where messages wait for their receivers, is a directory of this run too.
const sharedRoot = join(directory, 'shared');

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

const environment = () => ({
  ...process.env,
  MEMBRANE_REGISTRY_URL: url,
  MEMBRANE_SHARED_ROOT: sharedRoot,
  MEMBRANE_SOCKET_DIR: join(directory, 'sockets'),
  XDG_STATE_HOME: directory,
});

/**
 * Shows a command and what it prints, as its user sees it: a table on a terminal.
 * @param {string[]} args
 */
async function show(...args) {
  // As its user types it: the path of this very command is `membrane`.
  const typed = args.join(' ').replace(`${process.execPath} ${membrane}`, 'membrane');
  console.log(`$ membrane ${typed}`);
  const command = keep(
    spawn(process.execPath, [membrane, ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: environment(),
    }),
  );
  const [code] = await once(command, 'exit');
  if (code !== 0) throw new Error(`membrane ${typed} exited by ${code}`);
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
  const args = parent === undefined ? [id] : [id, parent];
  const member = keep(fork(join(here, 'member.mjs'), args, { env: environment() }));
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
  // The story goes on meanwhile, and may start another one.
  while (children.size > 0) await Promise.all([...children].map(stop));
  rmSync(directory, { recursive: true, force: true });
  process.exit(exitCode);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end());

let url = '';
try {
  say('A registry starts, on SQLite.');
  let registry;
  ({ registry, url } = await startRegistry('0'));
  console.log(`It serves ${url}`);
  const client = createNamespaceClient('visitor', { registryUrl: url, cache: false });

  say('Four processes register by the SDK: a house, a kitchen in it, an oven and a lamp in the kitchen.');
  await startMember('house');
  await startMember('kitchen', 'house');
  await startMember('oven', 'kitchen');
  const lamp = await startMember('lamp', 'kitchen');
  await show('list');

  say('Who is in whom:');
  await show('tree');

  say('Anybody finds the oven by its name.');
  await show('discover', 'oven');

  say('... and sends it messages by its name, over whatever they share.');
  await show('send', 'oven', 'preheat to 200');
  await show('request', 'oven', 'how hot are you?');

  say('Any program becomes a membrane for as long as it runs.');
  await show(
    'run',
    'kitchen',
    '--id',
    'radio',
    '--',
    process.execPath,
    membrane,
    'list',
    '--parent',
    'kitchen',
  );

  say(
    'The lamp is killed. It promised a heartbeat every second: after two of them missed it is unhealthy ...',
  );
  lamp.kill('SIGKILL');
  await until('the lamp is unhealthy', async () => (await client.discover('lamp'))?.status === 'unhealthy');
  await show('tree');
  say('... and after five it is gone.');
  await until('the lamp is gone', async () => (await client.discover('lamp')) === undefined);
  await show('list', '--parent', 'kitchen');

  say('The registry stops, and starts again without its data: everybody registers again by themselves.');
  await stop(registry);
  rmSync(data, { recursive: true });
  ({ registry } = await startRegistry(new URL(url).port));
  await until('all are back', async () => (await client.listMembranes()).length === 3);
  await show('list');

  if (endsAfterStory) {
    await end();
  } else {
    say(`The registry and its three membranes stay up. In another terminal, from here, try`);
    console.log(`  node packages/cli/bin/membrane.js tree --registry-url ${url}`);
    console.log(`  node packages/cli/bin/membrane.js watch --registry-url ${url}`);
    console.log(`  curl ${url}/discover/oven`);
    console.log(
      `  MEMBRANE_SOCKET_DIR=${directory}/sockets node packages/cli/bin/membrane.js send oven hello --registry-url ${url}`,
    );
    console.log(`or open ${url}/docs in a browser. Ctrl-C ends it and leaves nothing behind.`);
  }
} catch (error) {
  if (!ending) {
    console.error(`npm start failed: ${error instanceof Error ? error.message : error}`);
    await end(1);
  }
}
