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
    .parserConfiguration({ 'duplicate-arguments-array': false, 'camel-case-expansion': false })
    .strict()
    .exitProcess(false)
    .wrap(Math.min(process.stdout.columns || MAX_HELP_WIDTH, MAX_HELP_WIDTH))
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new CommandError(`${message ?? 'wrong usage'}; see membrane --help`, EXIT_CODES.usage);
    });
}
