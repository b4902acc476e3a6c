import type { CommandModule } from 'yargs';
import type { GlobalArguments } from '../global-options.js';
import {
  describeDelivery,
  sayAttempts,
  withMessage,
  withMessageOptions,
  withWaitOption,
  type WaitArguments,
} from '../message-options.js';
import type { Output } from '../output.js';

export function sendCommand(output: Output): CommandModule<GlobalArguments, WaitArguments> {
  return {
    command: 'send <target> <message>',
    describe: 'send a message to a membrane',
    builder: (parser) =>
      withWaitOption(withMessageOptions(parser, 'whom: an id, @out (the parent), @in:ID (a child), @any:ID'))
        .example('$0 send oven "preheat to 200"', 'by whichever way leads there')
        .example('$0 send oven @recipe.json --json-payload', 'what is in a file, as JSON')
        .example('$0 send oven hello --wait-for processed --timeout 5m', 'until it is handled, also later'),
    handler: async (args) => {
      const { result: delivery, timeoutMs } = await withMessage(args, output, (client, payload, options) =>
        client.sendMessage(args.target, payload, { ...options, waitFor: args['wait-for'] }),
      );
      if (args.debug) sayAttempts(delivery.attempts, output);
      output.say(describeDelivery(delivery, timeoutMs));
      if (args.json) {
        const { toWire } = await import('@membrane/protocol');
        output.data(JSON.stringify(toWire<unknown>(delivery)));
      } else output.data(delivery.messageId);
    },
  };
}
