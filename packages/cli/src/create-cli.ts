import yargs, { type Argv } from 'yargs';
import { CommandError } from './command-error.js';
import { broadcastCommand } from './commands/broadcast.js';
import { deadLettersCommand } from './commands/dead-letters.js';
import { deregisterCommand } from './commands/deregister.js';
import { discoverCommand } from './commands/discover.js';
import { dissolveCommand } from './commands/dissolve.js';
import { divideCommand } from './commands/divide.js';
import { drainCommand } from './commands/drain.js';
import { heartbeatCommand } from './commands/heartbeat.js';
import { listCommand } from './commands/list.js';
import { logCommand } from './commands/log.js';
import { moveCommand } from './commands/move.js';
import { receiveCommand } from './commands/receive.js';
import { registerCommand } from './commands/register.js';
import { registryCommand } from './commands/registry.js';
import { requestCommand } from './commands/request.js';
import { runCommand } from './commands/run.js';
import { sendCommand } from './commands/send.js';
import { statusCommand } from './commands/status.js';
import { treeCommand } from './commands/tree.js';
import { watchCommand } from './commands/watch.js';
import { EXIT_CODES } from './exit-codes.js';
import { withGlobalOptions, type GlobalArguments } from './global-options.js';
import type { Output } from './output.js';
import { readVersion } from './version.js';

const MAX_HELP_WIDTH = 100;

/**
 * The whole command line. Parsing throws a CommandError for wrong usage; a verb that exits otherwise than by 0 without
 * a word sets the exit code.
 */
export function createCli(
  args: readonly string[],
  output: Output,
  exit: { code: number },
): Argv<GlobalArguments> {
  return (
    withGlobalOptions(yargs(args))
      .scriptName('membrane')
      // What is documented, and what a script may look for, is in one language.
      .locale('en')
      .usage(
        '$0 <command>\n\nMembranes are named processes that form a tree: registers them, finds them, keeps them alive, carries their messages.',
      )
      .command(runCommand(output, exit))
      .command(registerCommand(output))
      .command(deregisterCommand(output))
      .command(heartbeatCommand(output))
      .command(statusCommand(output))
      .command(discoverCommand(output))
      .command(listCommand(output))
      .command(treeCommand(output))
      .command(watchCommand(output))
      .command(logCommand(output))
      .command(moveCommand(output))
      .command(dissolveCommand(output))
      .command(divideCommand(output))
      .command(drainCommand(output))
      .command(sendCommand(output))
      .command(requestCommand(output))
      .command(broadcastCommand(output, exit))
      .command(receiveCommand(output, exit))
      .command(deadLettersCommand(output))
      .command(registryCommand(output))
      .completion('completion', 'print a completion script for bash or zsh')
      .demandCommand(1, 'which command?')
      .version(readVersion())
      .parserConfiguration({
        'camel-case-expansion': false,
        'populate--': true,
        // What `run` hands on stays as it was written.
        'parse-positional-numbers': false,
        // A flag is what it is called: its opposite, or a part of it, would be a value that no verb expects.
        'boolean-negation': false,
        'dot-notation': false,
        // Each `--meta` takes one value; what follows that is the parent.
        'greedy-arrays': false,
      })
      .check(refuseExcess)
      .check((parsed) => refuseDoubt(parsed, args))
      .strict()
      .exitProcess(false)
      .wrap(Math.min(process.stdout.columns || MAX_HELP_WIDTH, MAX_HELP_WIDTH))
      .fail((message: string | null, error: Error | undefined) => {
        // What yargs itself finds wrong comes as a message, as an error of its own, or as both.
        if (error !== undefined && error.name !== 'YError') throw error;
        const fault = (error?.message ?? message ?? 'wrong usage').replace(/:?\s*\n\s*/g, ': ');
        throw new CommandError(`${fault}; see membrane --help`, EXIT_CODES.usage);
      })
  );
}

/** Flags that may be given several times, and what is no flag. */
const REPEATABLE: ReadonlySet<string> = new Set(['_', '--', 'meta', 'messages', 'heirs']);

/** Which of two values counts would be a guess, and only `run` has a use for what follows `--`. */
function refuseExcess(args: Readonly<Record<string, unknown>>): true {
  const repeated = Object.keys(args).find((name) => Array.isArray(args[name]) && !REPEATABLE.has(name));
  if (repeated !== undefined) throw new CommandError(`--${repeated} must be given once`, EXIT_CODES.usage);
  const [verb] = args['_'] as readonly unknown[];
  if (args['--'] !== undefined && verb !== 'run') {
    throw new CommandError('nothing may follow --, except after `membrane run`', EXIT_CODES.usage);
  }
  return true;
}

/** The parser takes whatever is not `true` for false. */
function refuseDoubt(parsed: Readonly<Record<string, unknown>>, args: readonly string[]): true {
  const end = args.indexOf('--');
  for (const arg of end === -1 ? args : args.slice(0, end)) {
    const [, flag = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (typeof parsed[flag] !== 'boolean' || value === 'true' || value === 'false') continue;
    throw new CommandError(`--${flag} must be true or false; got "${value}"`, EXIT_CODES.usage);
  }
  return true;
}
