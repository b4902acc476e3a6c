import type { CommandModule } from 'yargs';
import type { NamespaceClient, WatchFilter } from '@membrane/client';
import { abortWhenTold } from '../abort-when-told.js';
import { followChanges, sayReset } from '../follow-changes.js';
import { openClient, type GlobalArguments } from '../global-options.js';
import { nameFields } from '../name-fields.js';
import { OutageWords } from '../outage-words.js';
import type { Output } from '../output.js';

interface WatchArguments extends GlobalArguments {
  subtree: string | undefined;
  ids: string | undefined;
  since: string | undefined;
}

const FLAGS = { subtree: '--subtree', ids: '--ids', since: '--since' };

export function watchCommand(output: Output): CommandModule<GlobalArguments, WatchArguments> {
  return {
    command: 'watch',
    describe: 'print changes as they happen',
    builder: (parser) =>
      parser
        .options({
          subtree: {
            type: 'string',
            requiresArg: true,
            conflicts: 'ids',
            description: 'only of this membrane and what is below it',
          },
          ids: {
            type: 'string',
            requiresArg: true,
            description: 'only of these, as "oven,lamp"; they need not be there',
          },
          since: {
            type: 'string',
            requiresArg: true,
            description: 'begin after this revision, as `membrane registry status` shows it [now]',
          },
        })
        .example('$0 watch', 'a line a change, until Ctrl-C')
        .example('$0 watch --subtree house --json', 'as JSON, a line each'),
    handler: async (args) => {
      const client = await openClient(args);
      try {
        await watch(client, args, output);
      } catch (error) {
        throw nameFields(error, FLAGS);
      } finally {
        await client.close();
      }
    },
  };
}

async function watch(client: NamespaceClient, args: WatchArguments, output: Output): Promise<void> {
  const { json, subtree, ids, since } = args;
  const { ChangePrinter } = await import('../change-printer.js');
  const printer = new ChangePrinter(output, { json });
  const ended = new AbortController();
  abortWhenTold(ended);
  const filter: WatchFilter = { subtree, ids: ids?.split(',') };
  let hasBegun = false;
  const onOpen = (): void => {
    if (output.isTerminal && !hasBegun) output.say(`${describeScope(client, filter)}, until Ctrl-C`);
    hasBegun = true;
  };
  const options = { ...filter, since, ended, outage: new OutageWords(output), onOpen };
  await followChanges(client, options, async (change) => {
    if (change.event === 'reset') {
      sayReset(change, output);
      if (json) await printer.printJson([change]);
    } else {
      await printer.print([change]);
    }
  });
}

function describeScope({ options }: NamespaceClient, { subtree, ids }: WatchFilter): string {
  const where = `in namespace "${options.namespace}"`;
  if (subtree !== undefined) return `watching "${subtree}" and what is below it ${where}`;
  if (ids === undefined) return `watching everything ${where}`;
  return `watching ${ids.map((id) => `"${id}"`).join(', ')} ${where}`;
}
