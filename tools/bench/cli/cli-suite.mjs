import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createNamespaceClient } from '@membrane/client';
import { INSTALL_LIMITS, measureInstalledBytes, packPackages } from '../../packed-packages.mjs';
import { median } from '../report/report.mjs';

const MEMBERS = 20;
const MEGABYTE = 1_000_000;

const fileOf = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const BIN = fileOf('../../../packages/cli/bin/membrane.js');

/**
 * How long the command takes beyond Node itself, in turns with it, and what has to be installed.
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function cliSuite({ short, onProgress }) {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  const registry = spawn(
    process.execPath,
    [fileOf('../servers/registry-host.mjs'), join(directory, 'registry')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  /** @type {import('@membrane/client').NamespaceClient[]} */
  const members = [];
  try {
    const lines = createInterface({ input: registry.stdout })[Symbol.asyncIterator]();
    const { value: registryUrl } = await lines.next();
    for (let index = 0; index < MEMBERS; index += 1) {
      members.push(createNamespaceClient(`member-${index}`, { registryUrl }));
    }
    await Promise.all(members.map((member) => member.register({ endpoint: 'http://127.0.0.1:1' })));
    const commands = {
      node: ['-e', '0'],
      version: [BIN, '--version'],
      list: [BIN, 'list', '--registry-url', registryUrl],
    };
    onProgress('starting');
    const ms = await measureStarts(commands, short ? 5 : 25);
    const beside = { unit: 'ms', reference: ms.node, referenceName: "node's own start" };
    /** @type {import('../report/report.mjs').Figure[]} */
    const figures = [
      {
        what: "membrane --version beyond node's own start",
        value: ms.version - ms.node,
        ...beside,
        target: 'at most 60 ms',
      },
      {
        what: "membrane list beyond node's own start",
        value: ms.list - ms.node,
        ...beside,
        target: 'at most 200 ms',
      },
    ];
    onProgress('packing');
    const packed = packPackages(directory);
    for (const [name, limit] of Object.entries(INSTALL_LIMITS)) {
      onProgress(`installing ${name}`);
      figures.push({
        what: `${name} with all that it needs`,
        value: measureInstalledBytes(name, packed, directory) / MEGABYTE,
        unit: 'MB',
        target: `at most ${limit / MEGABYTE} MB`,
      });
    }
    return figures;
  } finally {
    await Promise.all(members.map((member) => member.close()));
    registry.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * How long each command takes, from its start to its end: medians, in milliseconds.
 * @param {Readonly<Record<string, string[]>>} commands
 * @param {number} rounds
 * @returns {Promise<Record<string, number>>}
 */
async function measureStarts(commands, rounds) {
  /** @type {Record<string, number[]>} */
  const took = {};
  // The first round fills the caches of the disk.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, args] of Object.entries(commands)) {
      const startMs = performance.now();
      await promisify(execFile)(process.execPath, args);
      if (round > 0) (took[name] ??= []).push(performance.now() - startMs);
    }
  }
  return Object.fromEntries(Object.entries(took).map(([name, ms]) => [name, median(ms)]));
}
