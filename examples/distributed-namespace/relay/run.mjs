// Four hosts, and what two membranes share: a network, a volume, a common parent, or nothing but the registry.
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { hostName, makeHosts, removeHosts } from './hosts.mjs';

// What a user has set for programs of their own is not part of the show.
for (const name of Object.keys(process.env)) if (name.startsWith('MEMBRANE_')) delete process.env[name];

const here = dirname(fileURLToPath(import.meta.url));
const registryBin = join(here, '../../../packages/registry/bin/membrane-registry.js');
const directory = mkdtempSync(join(tmpdir(), 'membrane-relay-'));

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/**
 * @param {string} host
 * @param {string[]} args
 */
function start(host, args) {
  const child = spawn('ip', ['netns', 'exec', hostName(host), process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/**
 * What a process tells next of one kind; nothing is lost in between.
 * @param {import('node:child_process').ChildProcess} child
 */
function listen(child) {
  /** @type {Record<string, string[]>} */
  const told = {};
  const messages = on(child, 'message');
  return async (/** @type {string} */ kind) => {
    for (;;) {
      const next = told[kind]?.shift();
      if (next !== undefined) return next;
      const { value } = await messages.next();
      for (const [name, text] of Object.entries(value[0])) (told[name] ??= []).push(String(text));
    }
  };
}

/**
 * A membrane on a host. Each has a volume and a socket directory of its own, unless it is given one.
 * @param {string} id
 * @param {{ host?: string; network?: 1 | 2; parent?: string; relay?: boolean; volume?: string; advertise?: string }} given
 */
async function startMember(id, { host = id, network = 1, volume = id, ...options }) {
  const clientOptions = {
    registryUrl: `http://10.77.${network}.1:8765`,
    sharedRoot: join(directory, volume),
    socketDirectory: join(directory, `sockets-${id}`),
    ...options,
  };
  const child = start(host, [join(here, 'member.mjs'), id, JSON.stringify(clientOptions)]);
  const next = listen(child);
  await next('ready');
  const send = async (/** @type {string} */ target, /** @type {string} */ payload) => {
    child.send({ target, payload });
    return next('sent');
  };
  return { child, send, heard: () => next('heard') };
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child) {
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

async function tell() {
  const registry = start('registry', [
    registryBin,
    '--host',
    '0.0.0.0',
    '--allow-anonymous',
    '--data',
    ':memory:',
  ]);
  for await (const line of createInterface({
    input: /** @type {import('node:stream').Readable} */ (registry.stdout),
  }))
    if (line.includes('"ready"')) break;

  const kitchen = await startMember('kitchen', { parent: 'hall' });
  const cook = await startMember('cook', {});
  console.log(`One network:           ${await cook.send('kitchen', 'preheat')}`);
  console.log(`                       kitchen hears: ${await kitchen.heard()}`);

  const shelf = await startMember('shelf', { host: 'cellar', network: 2, volume: 'shared' });
  const pantry = await startMember('pantry', { host: 'kitchen', volume: 'shared' });
  console.log(`One volume:            ${await pantry.send('shelf', 'two jars')}`);
  console.log(`                       shelf hears: ${await shelf.heard()}`);

  const hall = await startMember('hall', { relay: true });
  const cellar = await startMember('cellar', { network: 2, parent: 'hall' });
  console.log(`A common parent:       ${await cellar.send('kitchen', 'wine?')}`);
  console.log(`                       kitchen hears: ${await kitchen.heard()}`);

  await stop(hall.child);
  console.log(`Nothing, any more:     ${await cellar.send('kitchen', 'anybody?')}`);
  console.log(`                       kitchen hears: ${await kitchen.heard()}`);
}

try {
  makeHosts();
  await tell();
} catch (error) {
  console.error(`the example failed: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  while (children.size > 0) await Promise.all([...children].map(stop));
  removeHosts();
  rmSync(directory, { recursive: true, force: true });
}
