import type { CommandModule } from 'yargs';
import type { GlobalArguments } from '../global-options.js';
import { withMessage, withMessageOptions, type MessageArguments } from '../message-options.js';
import { formatPayload, type Output } from '../output.js';

export function requestCommand(output: Output): CommandModule<GlobalArguments, MessageArguments> {
  return {
    command: 'request <target> <message>',
    describe: 'send a message, and print the reply',
    builder: (parser) =>
      withMessageOptions(parser, 'whom: an id, @out (the parent), @in:ID (a child), @any:ID').example(
        '$0 request oven temperature',
        'what its handler returns',
      ),
    handler: async (args) => {
      const { result: reply } = await withMessage(args, output, (client, payload, options) =>
        client.request(args.target, payload, options),
      );
      output.data(args.json ? JSON.stringify(reply) : formatPayload(reply, output));
    },
  };
}
