import type { CommandModule } from 'yargs';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import type { GlobalArguments } from '../global-options.js';
import type { Output } from '../output.js';
import { changeTree, IF_REVISION_OPTION, readIfRevision, type RevisionArguments } from '../tree-change.js';

interface MoveArguments extends RevisionArguments {
  parent: string | undefined;
  'to-top': boolean;
}

export function moveCommand(output: Output): CommandModule<GlobalArguments, MoveArguments> {
  return {
    command: 'move <name> [parent]',
    describe: 'give a membrane another parent; what is below it comes along',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', demandOption: true, description: 'whom to move' })
        .positional('parent', { type: 'string', description: 'below whom' })
        .options({
          'to-top': { type: 'boolean', default: false, description: 'below nobody: a root' },
          'if-revision': IF_REVISION_OPTION,
        })
        .example('$0 move oven hall', 'it stays there when it registers again as before')
        .example('$0 move oven --to-top', 'a root'),
    handler: async (args) => {
      const { name: id, parent } = args;
      if ((parent === undefined) !== args['to-top']) {
        throw new CommandError('where to? name the parent, or give --to-top', EXIT_CODES.usage);
      }
      const ifRevision = readIfRevision(args);
      try {
        await changeTree(args, output, async (registry) => ({
          answer: await registry.move({ id, parent: parent ?? null, ...ifRevision }),
          describe: () =>
            parent === undefined ? `"${id}" is a root now` : `"${id}" stands below "${parent}" now`,
        }));
      } catch (error) {
        throw nameTop(error);
      }
    },
  };
}

/** For nobody as a parent the command has a flag. */
function nameTop(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  const message = error.message.replace(', or null', ', or --to-top');
  return new CommandError(message, error.exitCode, { cause: error.cause });
}
