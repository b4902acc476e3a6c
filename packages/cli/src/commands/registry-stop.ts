import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandModule } from 'yargs';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { openClient, withoutFlags, type GlobalArguments } from '../global-options.js';
import { loadRegistry } from '../load-registry.js';
import type { Output } from '../output.js';
import { isTimeout } from '../timeout.js';

/** The registry itself ends within 5 s of a signal. */
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

interface StopArguments extends GlobalArguments {
  data: string | undefined;
}

export function registryStopCommand(output: Output): CommandModule<GlobalArguments, StopArguments> {
  return {
    command: 'stop',
    describe: 'stop the registry of a data directory',
    builder: (parser) =>
      withoutFlags(parser, 'registry stop', ['registry-url', 'namespace', 'id'])
        .options({
          data: {
            type: 'string',
            requiresArg: true,
            description: "its data directory (MEMBRANE_REGISTRY_DATA) [the user's state directory]",
          },
        })
        .example('$0 registry stop', 'the one that `membrane registry start --detach` started'),
    handler: async (args) => {
      const { DEFAULT_REGISTRY_OPTIONS, MEMORY_DATA, readHolder } = await loadRegistry();
      const given = args.data ?? (process.env['MEMBRANE_REGISTRY_DATA'] || DEFAULT_REGISTRY_OPTIONS.data);
      if (given === '') {
        throw new CommandError(
          'which registry? this user has no home directory: name its --data',
          EXIT_CODES.usage,
        );
      }
      if (given === MEMORY_DATA) {
        throw new CommandError(
          `a registry with its data in ${MEMORY_DATA} cannot be found by it; end its process by the pid that \`membrane registry start\` gave`,
          EXIT_CODES.usage,
        );
      }
      const data = resolve(given);
      const holder = await readHolder(data);
      if (holder === undefined || !isRunning(holder.pid)) {
        throw new CommandError(`no registry is running on ${data}`, EXIT_CODES.notFound);
      }
      await makeSure(args, holder, data);
      process.kill(holder.pid, 'SIGTERM');
      const deadlineMs = Date.now() + STOP_TIMEOUT_MS;
      while (isRunning(holder.pid)) {
        if (Date.now() > deadlineMs) {
          throw new CommandError(`process ${holder.pid} got SIGTERM and still runs`, EXIT_CODES.failed);
        }
        await sleep(POLL_MS);
      }
      if (args.json) output.data(JSON.stringify({ stopped: true, pid: holder.pid }));
      else output.say(`registry stopped (pid ${holder.pid})`);
    },
  };
}

/**
 * A process id is used again when its process is gone: only one whose registry answers, and keeps its data there,
 * gets a signal.
 */
async function makeSure(
  args: GlobalArguments,
  holder: { pid: number; url: string | null },
  data: string,
): Promise<void> {
  const said = `${data} says that process ${holder.pid} serves it`;
  if (holder.url === null) {
    throw new CommandError(`${said}, but not yet where; try again, or end it by its pid`, EXIT_CODES.failed);
  }
  const client = await openClient({ ...args, 'registry-url': holder.url });
  try {
    const { store } = await client.registry.status();
    if (store.location !== null && (await isSameDirectory(dirname(store.location), data))) return;
  } catch (cause) {
    const silence = isTimeout(cause)
      ? `the registry at ${holder.url} does not answer in time; give it longer by --timeout or, if it hangs, end the process by its pid`
      : `no registry answers at ${holder.url}; if the process hangs, end it by its pid`;
    throw new CommandError(`${said}, but ${silence}`, EXIT_CODES.unreachable, { cause });
  } finally {
    await client.close();
  }
  throw new CommandError(
    `${said}, but the registry at ${holder.url} has its data elsewhere`,
    EXIT_CODES.failed,
  );
}

/** Whatever path leads there. */
async function isSameDirectory(one: string, other: string): Promise<boolean> {
  const real = (path: string): Promise<string> => realpath(path).catch(() => path);
  return (await real(one)) === (await real(other));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
