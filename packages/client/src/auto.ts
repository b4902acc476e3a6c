/**
 * `node --import @membrane/client/auto app.js`: registers the process as its configuration says, with no line of code.
 * It never delays, ends or holds the process; what goes wrong is a warning of the process.
 */
import { isMainThread } from 'node:worker_threads';
import type { NamespaceClient } from './namespace-client.js';
import { REGISTERED_VARIABLE } from './registered-variable.js';

/** Until it is known under which name this process registers: tells child processes of these first moments that it will. */
const STARTING_VARIABLE = 'MEMBRANE_AUTO_STARTING';

// A worker thread is a part of the process that is registered already.
if (isMainThread) void start(markStarting());

/** @returns true where a parent process with the same settings registers. */
function markStarting(): boolean {
  const { MEMBRANE_ID, MEMBRANE_NAMESPACE, MEMBRANE_INSTANCE_ID, MEMBRANE_CONFIG } = process.env;
  // Without a name of its own here, a config file may have one, and which file that is depends on the directory.
  const place = MEMBRANE_ID ? '' : process.cwd();
  const mark = JSON.stringify([
    MEMBRANE_ID,
    MEMBRANE_NAMESPACE,
    MEMBRANE_INSTANCE_ID,
    MEMBRANE_CONFIG,
    place,
  ]);
  const isChild = process.env[STARTING_VARIABLE] === mark;
  process.env[STARTING_VARIABLE] = mark;
  return isChild;
}

async function start(isChild: boolean): Promise<void> {
  try {
    // Loaded beside the program, which need not wait for it.
    const { createNamespaceClient } = await import('./namespace-client.js');
    // A client of the program handles messages, if anybody does: they wait for it on the shared volume.
    const client = createNamespaceClient(undefined, { receive: false });
    warnOf(client);
    const isNamed = client.options.settings.some(({ name, source }) => name === 'id' && source !== 'default');
    // From here on the mark of the registration itself says it.
    if (isChild && isNamed)
      Object.assign(process.env, { [REGISTERED_VARIABLE]: client.childEnvironment()[REGISTERED_VARIABLE] });
    if (!client.autoRegister()) await client.close();
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
  } finally {
    Reflect.deleteProperty(process.env, STARTING_VARIABLE);
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
