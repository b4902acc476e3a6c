import type { CommandModule } from 'yargs';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import type { GlobalArguments } from '../global-options.js';
import { openWithLease } from '../open-with-lease.js';
import type { Output } from '../output.js';

interface DeregisterArguments extends GlobalArguments {
  name: string | undefined;
  instance: string | undefined;
  force: boolean;
  cascade: boolean;
}

export function deregisterCommand(output: Output): CommandModule<GlobalArguments, DeregisterArguments> {
  return {
    command: 'deregister [name]',
    describe: 'end a registration',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', description: 'whose; in place of --id' })
        .options({
          instance: { type: 'string', requiresArg: true, description: 'which replica of it [default]' },
          force: {
            type: 'boolean',
            default: false,
            description: 'also where another process holds it, which is told so',
          },
          cascade: { type: 'boolean', default: false, description: 'everything below it too' },
        })
        .example('$0 deregister oven', 'the one that `membrane register` made')
        .example('$0 deregister house --force --cascade', 'a whole subtree, whoever holds it'),
    handler: async (args) => {
      if (args.name !== undefined && args.id !== undefined && args.name !== args.id) {
        throw new CommandError(
          `whose registration? "${args.name}" and --id "${args.id}" are two: give one of them`,
          EXIT_CODES.usage,
        );
      }
      const { client, file } = await openWithLease(args, { id: args.name, instanceId: args.instance });
      const { id } = client;
      try {
        await client.deregister({ force: args.force, children: args.cascade ? 'cascade' : 'keep' });
        await file.remove();
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'superseded' || code === 'lease_token_required') {
          throw new CommandError(
            `"${id}" is held by another process; --force ends its registration`,
            EXIT_CODES.refused,
            { cause: error },
          );
        }
        if (code !== 'not_registered' && code !== 'removed') throw error;
        await file.remove();
        throw new CommandError(`"${id}" is not registered`, EXIT_CODES.notFound, { cause: error });
      } finally {
        await client.close({ deregister: false });
      }
      if (args.json) output.data(JSON.stringify({ success: true, id }));
      else output.say(`"${id}" is registered no more`);
    },
  };
}
