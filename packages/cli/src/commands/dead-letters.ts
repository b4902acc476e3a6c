import type { Argv, CommandModule } from 'yargs';
import type { DeadLetterInfo, NamespaceClient } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { assertNamed, openClient, type GlobalArguments } from '../global-options.js';
import { formatAge, formatPayload, toPrintable, type Output } from '../output.js';

interface LetterArguments extends GlobalArguments {
  instance: string | undefined;
}

interface ListArguments extends LetterArguments {
  limit: number;
}

interface ChangeArguments extends LetterArguments {
  messages: string[] | undefined;
  all: boolean;
}

/** Replicas share a mailbox, and have an inbox directory each. */
const INSTANCE_OPTION = {
  type: 'string',
  requiresArg: true,
  description: 'whose inbox directory, where it is a replica (MEMBRANE_INSTANCE_ID) [default]',
} as const;

export function deadLettersCommand(output: Output): CommandModule<GlobalArguments, GlobalArguments> {
  return {
    command: 'dead-letters',
    describe: 'messages that could not be handled: list, requeue, discard',
    builder: (parser) =>
      parser
        .command(listCommand(output))
        .command(changeCommand(output, 'requeue', 'have them handled once more'))
        .command(changeCommand(output, 'discard', 'throw them away'))
        .demandCommand(1, 'which action: list, requeue or discard?')
        .example('$0 dead-letters list --id oven', 'what oven could not handle, and why'),
    handler: () => undefined,
  };
}

function listCommand(output: Output): CommandModule<GlobalArguments, ListArguments> {
  return {
    command: 'list',
    describe: 'list those of a membrane, the oldest first',
    builder: (parser) =>
      parser
        .options({
          instance: INSTANCE_OPTION,
          limit: { type: 'number', requiresArg: true, default: 100, description: 'so many at most' },
        })
        .example('$0 dead-letters list --id oven', 'what oven could not handle, and why'),
    handler: async (args) => {
      if (!Number.isInteger(args.limit) || args.limit < 1 || args.limit > 1_000) {
        throw new CommandError('--limit must be a whole number from 1 to 1000', EXIT_CODES.usage);
      }
      await withClient(args, async (client) => {
        await print(await client.deadLetters({ limit: args.limit }), args.json, output);
      });
    },
  };
}

function changeCommand(
  output: Output,
  action: 'requeue' | 'discard',
  describe: string,
): CommandModule<GlobalArguments, ChangeArguments> {
  return {
    command: `${action} [messages..]`,
    describe,
    builder: (parser): Argv<ChangeArguments> =>
      parser
        .positional('messages', { type: 'string', array: true, description: 'their message ids' })
        .options({
          instance: INSTANCE_OPTION,
          all: { type: 'boolean', default: false, description: 'all of them' },
        })
        .example(`$0 dead-letters ${action} --id oven --all`, describe),
    handler: async (args) => {
      const { messages = [], all } = args;
      if (all === messages.length > 0) {
        throw new CommandError('which messages? name their ids, or give --all', EXIT_CODES.usage);
      }
      await withClient(args, async (client) => {
        const ids = all ? undefined : messages;
        const changed =
          action === 'requeue' ? await client.requeueDeadLetters(ids) : await client.discardDeadLetters(ids);
        if (args.json) output.data(JSON.stringify({ success: true, changed }));
        else output.say(`${changed} ${action === 'requeue' ? 'put back' : 'discarded'}`);
        if (changed < messages.length) {
          const missing = messages.length - changed;
          const which =
            messages.length === 1
              ? `"${toPrintable(messages.join())}" is no dead letter`
              : `${missing} of them ${missing === 1 ? 'is no dead letter' : 'are no dead letters'}`;
          throw new CommandError(`${which} of "${client.id}"`, EXIT_CODES.notFound);
        }
      });
    },
  };
}

async function withClient(
  args: LetterArguments,
  work: (client: NamespaceClient) => Promise<void>,
): Promise<void> {
  const client = await openClient(args, { instanceId: args.instance });
  try {
    assertNamed(client);
    await work(client);
  } finally {
    await client.close({ deregister: false });
  }
}

async function print(letters: readonly DeadLetterInfo[], json: boolean, output: Output): Promise<void> {
  if (json) {
    const { toWire } = await import('@membrane/protocol');
    output.data(
      JSON.stringify(letters.map(({ envelope, ...letter }) => ({ ...toWire<object>(letter), envelope }))),
    );
    return;
  }
  if (letters.length === 0) {
    output.say('no dead letters');
    return;
  }
  const { formatTable } = await import('../table.js');
  const rows = letters.map(({ messageId, place, code, reason, diedAtMs, envelope }) => [
    messageId,
    toPrintable(envelope?.sender ?? '-'),
    place,
    formatAge((Date.now() - diedAtMs) / 1_000),
    toPrintable(`${code}: ${reason}`),
    envelope === undefined ? '-' : formatPayload(envelope.payload, { ...output, isTerminal: true }),
  ]);
  const columns = [
    { title: 'MESSAGE' },
    { title: 'SENDER', flexible: true },
    { title: 'PLACE' },
    { title: 'AGE' },
    { title: 'WHY', flexible: true },
    { title: 'PAYLOAD', flexible: true },
  ];
  output.data(formatTable(columns, rows, output));
}
