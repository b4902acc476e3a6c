import type { CommandModule } from 'yargs';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { repeatFlags, type GlobalArguments } from '../global-options.js';
import { openWithLease } from '../open-with-lease.js';
import type { Output } from '../output.js';

interface HeartbeatArguments extends GlobalArguments {
  instance: string | undefined;
}

export function heartbeatCommand(output: Output): CommandModule<GlobalArguments, HeartbeatArguments> {
  return {
    command: 'heartbeat',
    describe: 'renew the lease of a membrane, once',
    builder: (parser) =>
      parser
        .options({
          instance: { type: 'string', requiresArg: true, description: 'which replica of it [default]' },
        })
        .example('$0 heartbeat --id oven', 'the one that `membrane register` made'),
    handler: async (args) => {
      const { client } = await openWithLease(args, { instanceId: args.instance });
      const { id } = client;
      try {
        await client.heartbeat();
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'not_registered') {
          throw new CommandError(
            `"${id}" is not registered, or no more; \`membrane register ${repeatFlags(args, id)}\` registers it`,
            EXIT_CODES.notFound,
            { cause: error },
          );
        }
        if (code === 'superseded' || code === 'lease_token_required') {
          throw new CommandError(`"${id}" is held by another process`, EXIT_CODES.refused, { cause: error });
        }
        throw error;
      } finally {
        await client.close({ deregister: false });
      }
      if (args.json) output.data(JSON.stringify({ success: true, id }));
      else output.say(`"${id}" is renewed`);
    },
  };
}
