import { closeSync, openSync, readFileSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { CommandModule } from 'yargs';
import type { NamespaceClient, RegisterOptions } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { EXIT_CODES, SIGNAL_EXIT_BASE } from '../exit-codes.js';
import { nameFlag, openClient, type GlobalArguments } from '../global-options.js';
import { sayWhatEnds, sayWhatHappens } from '../lease-words.js';
import type { Output } from '../output.js';
import {
  toClientOptions,
  toRegisterOptions,
  withRegistrationOptions,
  type RegistrationArguments,
} from '../registration-options.js';

/** How long the end of the command waits for the registry to hear of it. */
const FAREWELL_TIMEOUT_MS = 2_000;

/** As shells have it: what cannot be run, what is not there. */
const CANNOT_RUN_EXIT = 126;
const NO_COMMAND_EXIT = 127;

const FORWARDED_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** A terminal sends these to the whole foreground process group: the command has them already. */
const TERMINAL_SIGNALS: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);

interface RunArguments extends RegistrationArguments {
  require: boolean;
  '--'?: string[];
}

export function runCommand(
  output: Output,
  exit: { code: number },
): CommandModule<GlobalArguments, RunArguments> {
  return {
    command: 'run [parent]',
    describe: 'run a command as a membrane: -- CMD…',
    builder: (parser) =>
      withRegistrationOptions(parser)
        .usage(
          '$0 run [parent] -- CMD…\n\nRegisters, runs the command with MEMBRANE_ID and the like in its environment, renews the lease while it lives, leaves, and exits as it did.',
        )
        .options({
          require: {
            type: 'boolean',
            default: false,
            description: 'start the command only when it is registered',
          },
        })
        .example('$0 run house --id oven -- node oven.js', 'oven, below house, while it runs'),
    handler: async (args) => {
      const [command, ...commandArgs] = args['--'] ?? [];
      if (command === undefined || command === '') {
        throw new CommandError(
          'which command? give it after --, as `membrane run -- node app.js`',
          EXIT_CODES.usage,
        );
      }
      const client = await openClient(args, await toClientOptions(args));
      const end = new AbortController();
      try {
        const options = await toRegisterOptions(args, client);
        sayWhatHappens(client, output);
        const run = (): Promise<number> => runToEnd(command, commandArgs, client);
        const registered = register(client, { ...options, signal: end.signal });
        if (args.require) {
          exit.code = await runWhenRegistered(registered, end, () => {
            sayWhatEnds(client, output);
            return run();
          });
        } else {
          registered.catch(sayOnce(client, end.signal, output));
          sayWhatEnds(client, output);
          exit.code = await run();
        }
      } finally {
        end.abort();
        await client.close({ signal: AbortSignal.timeout(FAREWELL_TIMEOUT_MS) });
      }
    },
  };
}

async function register(client: NamespaceClient, options: RegisterOptions): Promise<void> {
  try {
    await client.register({ ...options, retry: true });
  } catch (error) {
    throw nameFlag(error);
  }
}

/** What a registry refuses is told by an event; what the client itself refuses only by its error. */
function sayOnce(client: NamespaceClient, ended: AbortSignal, output: Output): (error: Error) => void {
  let isTold = false;
  const noteTold = (): void => {
    isTold = true;
  };
  client.on('registrationFailed', ({ willRetry }) => {
    isTold ||= !willRetry;
  });
  for (const event of ['superseded', 'removed'] as const) client.on(event, noteTold);
  return ({ message }) => {
    if (!isTold && !ended.aborted) output.say(`membrane: "${client.id}" is not registered: ${message}`);
  };
}

/** A signal ends the wait. */
async function runWhenRegistered(
  registered: Promise<unknown>,
  end: AbortController,
  run: () => Promise<number>,
): Promise<number> {
  let received: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    received = signal;
    end.abort();
  };
  for (const signal of FORWARDED_SIGNALS) process.once(signal, onSignal);
  try {
    await registered;
  } catch (error) {
    if (received !== undefined) return SIGNAL_EXIT_BASE + constants.signals[received];
    throw error;
  } finally {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, onSignal);
  }
  return run();
}

/** Runs a command with the standard streams of this process, and resolves to the exit code for it. */
function runToEnd(command: string, args: readonly string[], client: NamespaceClient): Promise<number> {
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...client.childEnvironment() },
  });
  const stopForwarding = forwardSignals(child);
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      stopForwarding();
      const code = 'code' in cause ? String(cause.code) : cause.message;
      const isMissing = code === 'ENOENT';
      reject(
        new CommandError(
          isMissing ? `there is no command "${command}"` : `"${command}" cannot be run (${code})`,
          isMissing ? NO_COMMAND_EXIT : CANNOT_RUN_EXIT,
          { cause },
        ),
      );
    });
    child.once('exit', (code, signal) => {
      stopForwarding();
      resolve(signal === null ? (code ?? EXIT_CODES.failed) : SIGNAL_EXIT_BASE + constants.signals[signal]);
    });
  });
}

function forwardSignals(child: ChildProcess): () => void {
  const forward = (signal: NodeJS.Signals): void => {
    if (TERMINAL_SIGNALS.has(signal) && isInForeground()) return;
    child.kill(signal);
  };
  for (const signal of FORWARDED_SIGNALS) process.on(signal, forward);
  return () => {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, forward);
  };
}

/**
 * Whether keys of the terminal that controls this process reach it, and so the command too. One in the background of a
 * terminal gets such a signal from somebody else. Elsewhere than on Linux whoever has a terminal counts.
 */
function isInForeground(): boolean {
  try {
    // proc_pid_stat(5): after the name, which ends by the last bracket, state, ppid, pgrp, session, tty_nr, tpgid.
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return hasTerminal();
  }
}

/** Wherever the standard streams lead: keys are read from the terminal that controls the process, if there is one. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
