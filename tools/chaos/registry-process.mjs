import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startNode } from './leftovers.mjs';

const BIN = fileURLToPath(new URL('../../packages/registry/bin/membrane-registry.js', import.meta.url));

/**
 * Below the ports that Linux gives to outgoing connections: a client that tries an abandoned port of those again and
 * again is connected to itself at last, and then the registry cannot have its port back.
 */
const PORTS = { first: 20_000, count: 10_000 };

/** @typedef {{ child: import('node:child_process').ChildProcess; url: string; readyAtMs: number }} RegistryProcess */

/**
 * Starts a registry on a real file; resolves when it is ready.
 * @param {{ data: string; port?: number; onAnswered?: (atMs: number, path: string) => void }} options
 * @returns {Promise<RegistryProcess>}
 */
export function startRegistry({ data, port = 0, onAnswered }) {
  const args = [BIN, '--port', String(port), '--data', data];
  if (onAnswered !== undefined) args.push('--log-level', 'debug');
  const child = startNode(args, ['ignore', 'pipe', 'inherit']);
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the registry did not start')));
    createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) }).on(
      'line',
      (line) => {
        const { msg, url, time } = JSON.parse(line);
        if (msg === 'ready') resolve({ child, url, readyAtMs: time });
        else if (msg === 'answered') onAnswered?.(time, url);
      },
    );
  });
}

/** A port that a registry can come back to. */
export async function findFreePort() {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
