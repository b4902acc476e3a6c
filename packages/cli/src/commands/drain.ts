import type { CommandModule } from 'yargs';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import type { GlobalArguments } from '../global-options.js';
import type { Output } from '../output.js';
import { changeTree, type NameArguments } from '../tree-change.js';

interface DrainArguments extends NameArguments {
  instance: string | undefined;
  reason: string | undefined;
  off: boolean;
}

export function drainCommand(output: Output): CommandModule<GlobalArguments, DrainArguments> {
  return {
    command: 'drain <name>',
    describe: 'take a membrane out of use: it stays registered, and gets nothing new',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', demandOption: true, description: 'whom to drain' })
        .options({
          reason: { type: 'string', requiresArg: true, description: 'why, for people' },
          instance: { type: 'string', requiresArg: true, description: 'only this replica of it [all]' },
          off: { type: 'boolean', default: false, description: 'put it back into use' },
        })
        .example('$0 drain oven --reason "new kernel"', 'until it is ended; also through a restart')
        .example('$0 drain oven --off', 'back into use'),
    handler: async (args) => {
      const { name: id, instance, reason, off } = args;
      if (off && reason !== undefined) {
        throw new CommandError('--reason goes with a drain that begins, not with --off', EXIT_CODES.usage);
      }
      await changeTree(args, output, async (registry) => ({
        answer: await registry.drain({
          id,
          enabled: !off,
          ...(instance === undefined ? {} : { instanceId: instance }),
          ...(reason === undefined ? {} : { reason }),
        }),
        describe: () => {
          const name = instance === undefined ? `"${id}"` : `"${id}" (${instance})`;
          return off ? `${name} is back in use` : `${name} drains: it stays registered, and gets nothing new`;
        },
      }));
    },
  };
}
