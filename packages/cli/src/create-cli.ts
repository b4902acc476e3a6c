import { createRequire } from 'node:module';
import yargs, { type Argv } from 'yargs';
import { CommandError } from './command-error.js';
import { discoverCommand } from './commands/discover.js';
import { listCommand } from './commands/list.js';
import { registryCommand } from './commands/registry.js';
import { EXIT_CODES } from './exit-codes.js';
import { withGlobalOptions, type GlobalArguments } from './global-options.js';
import type { Output } from './output.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

const MAX_HELP_WIDTH = 100;

/** The whole command line. Parsing throws a CommandError for wrong usage. */
export function createCli(args: readonly string[], output: Output): Argv<GlobalArguments> {
  return withGlobalOptions(yargs(args))
    .scriptName('membrane')
    .usage('$0 <command>\n\nFinds and runs membranes: named processes that form a tree.')
    .command(listCommand(output))
    .command(discoverCommand(output))
    .command(registryCommand(output))
    .completion('completion', 'print a completion script for bash or zsh')
    .demandCommand(1, 'which command?')
    .version(version)
    .parserConfiguration({ 'camel-case-expansion': false })
    .check(refuseRepetition)
    .strict()
    .exitProcess(false)
    .wrap(Math.min(process.stdout.columns || MAX_HELP_WIDTH, MAX_HELP_WIDTH))
    .fail((message: string | null, error: Error | undefined) => {
      // What yargs itself finds wrong comes as a message, as an error of its own, or as both.
      if (error !== undefined && error.name !== 'YError') throw error;
      const fault = error?.message ?? message ?? 'wrong usage';
      throw new CommandError(`${fault}; see membrane --help`, EXIT_CODES.usage);
    });
}

/** Flags that may be given several times. */
const REPEATABLE: ReadonlySet<string> = new Set(['_', 'meta']);

/** Which of two values counts would be a guess. */
function refuseRepetition(args: Readonly<Record<string, unknown>>): true {
  const repeated = Object.keys(args).find((name) => Array.isArray(args[name]) && !REPEATABLE.has(name));
  if (repeated !== undefined) throw new CommandError(`--${repeated} must be given once`, EXIT_CODES.usage);
  return true;
}
