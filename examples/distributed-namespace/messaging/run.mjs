// Starts a registry and a small tree of processes that handle messages, and sends them some. It ends by itself.
import { fork, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// What a user has set for programs of their own is not part of the show.
for (const name of Object.keys(process.env)) if (name.startsWith('MEMBRANE_')) delete process.env[name];

const here = dirname(fileURLToPath(import.meta.url));
const membrane = join(here, '../../../packages/cli/bin/membrane.js');
const directory = mkdtempSync(join(tmpdir(), 'membrane-messaging-'));
process.env.MEMBRANE_SHARED_ROOT = join(directory, 'shared');
process.env.MEMBRANE_SOCKET_DIR = join(directory, 'sockets');
process.env.XDG_STATE_HOME = directory;

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

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
 * @param {string} id
 * @param {string} [parent]
 * @param {string} [awaited] what is to be handled before the story goes on
 */
async function startMember(id, parent, awaited) {
  const args = parent === undefined ? [id] : [id, parent];
  const member = keep(fork(join(here, 'member.mjs'), args));
  const missing = new Set(awaited === undefined ? ['registered'] : ['registered', awaited]);
  for await (const [{ registered, handled }] of on(member, 'message')) {
    missing.delete(registered === undefined ? handled : 'registered');
    if (missing.size === 0) break;
  }
  return member;
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child, signal = 'SIGTERM') {
  const gone = once(child, 'exit');
  child.kill(/** @type {NodeJS.Signals} */ (signal));
  await gone;
}

try {
  const args = [
    membrane,
    'registry',
    'start',
    '--json',
    '--port',
    '0',
    '--data',
    ':memory:',
    '--log-level',
    'warn',
  ];
  const registry = keep(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  for await (const line of createInterface({ input: registry.stdout })) {
    process.env.MEMBRANE_REGISTRY_URL = JSON.parse(line).url;
    break;
  }
  await startMember('kitchen');
  const oven = await startMember('oven', 'kitchen');
  await startMember('lamp', 'kitchen');

  // Loaded now: it reads the environment.
  const { createNamespaceClient } = await import('@membrane/client');
  const cook = createNamespaceClient('cook');

  const { outcome, route } = await cook.sendMessage('oven', { degrees: 200 });
  console.log(`sent: ${outcome}, by ${route.kind}`);
  console.log(`reply: ${await cook.request('oven', 'how hot?')}`);

  const sends = ['flour', 'eggs', 'milk'].map((payload) =>
    cook.sendMessage('kitchen', payload, { stream: 'dough' }),
  );
  await Promise.all(sends);

  const { members } = await cook.broadcast('@subtree:kitchen', 'dinner is ready');
  console.log(
    `broadcast: ${members
      .map(({ id, result }) => `${id} ${result}`)
      .sort()
      .join(', ')}`,
  );

  await stop(oven, 'SIGKILL');
  const late = await cook.sendMessage('oven', 'are you there?');
  console.log(`sent while it is away: ${late.outcome}, by ${late.route.kind}`);
  await startMember('oven', 'kitchen', 'are you there?');
  console.log(`reply: ${await cook.request('oven', 'welcome back')}`);
  await cook.close();
} finally {
  while (children.size > 0) await Promise.all([...children].map((child) => stop(child)));
  rmSync(directory, { recursive: true, force: true });
}
