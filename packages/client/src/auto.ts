/**
 * `node --import @membrane/client/auto app.js`: registers the process as its configuration says, with no line of code.
 * It never delays, ends or holds the process; what goes wrong is a warning of the process.
 */
import { isMainThread } from 'node:worker_threads';
import type { NamespaceClient } from './namespace-client.js';

// A worker thread is a part of the process that is registered already.
if (isMainThread) void start();

async function start(): Promise<void> {
  try {
    // Loaded beside the program, which need not wait for it.
    const { createNamespaceClient } = await import('./namespace-client.js');
    // A client of the program handles messages, if anybody does: they wait for it on the shared volume.
    const client = createNamespaceClient(undefined, { receive: false });
    warnOf(client);
    if (!client.autoRegister()) await client.close();
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
  }
}

function warnOf(client: NamespaceClient): void {
  const name = `"${client.id}"`;
  client.on('registryUnreachable', ({ message }) => warn(`${message}; ${name} goes on trying`));
  let lastCode: string | undefined;
  client.on('registered', () => (lastCode = undefined));
  client.on('registrationFailed', ({ error, willRetry }) => {
    // A cause that lasts is told once.
    if (error.code !== lastCode) {
      warn(`${name} could not be registered${willRetry ? ' yet' : ''}: ${error.message}`);
    }
    lastCode = error.code;
  });
  client.on('superseded', ({ message }) => warn(message));
  client.on('removed', ({ message }) => warn(message));
}

function warn(message: string): void {
  process.emitWarning(message, 'MembraneWarning');
}
