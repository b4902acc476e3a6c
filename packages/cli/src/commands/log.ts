import type { CommandModule } from 'yargs';
import type { EventsFilter, MembraneChange, NamespaceClient } from '@membrane/client';
import { abortWhenTold } from '../abort-when-told.js';
import type { ChangePrinter } from '../change-printer.js';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { followChanges, sayReset } from '../follow-changes.js';
import { openClient, type GlobalArguments } from '../global-options.js';
import { nameFields } from '../name-fields.js';
import { OutageWords } from '../outage-words.js';
import type { Output } from '../output.js';
import { isReaderGone } from '../reader-gone.js';
import { readJournal } from '../read-journal.js';
import { readWholeNumber } from '../whole-number.js';

interface LogArguments extends GlobalArguments {
  name: string | undefined;
  follow: boolean;
  limit: string | undefined;
  since: string | undefined;
}

const FIELDS = { membrane: 'the name', ids: 'the name', since: '--since' };

export function logCommand(output: Output): CommandModule<GlobalArguments, LogArguments> {
  return {
    command: 'log [name]',
    describe: 'what happened, the newest last',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', description: 'to whom [everybody]' })
        .options({
          follow: { type: 'boolean', default: false, description: 'go on with what happens' },
          limit: {
            type: 'string',
            requiresArg: true,
            conflicts: 'since',
            description: 'the newest so many [100]',
          },
          since: {
            type: 'string',
            requiresArg: true,
            description: 'all after this revision, as `membrane registry status` shows it',
          },
        })
        .example('$0 log oven', 'the last 100 changes of oven, those before a restart too')
        .example('$0 log --follow --limit 10', 'the last ten of everybody, and what comes'),
    handler: async (args) => {
      const { LIMITS } = await import('@membrane/protocol');
      const limit = readWholeNumber('limit', args.limit, { min: 1, max: LIMITS.maxPageSize });
      const { name, since } = args;
      const filter = {
        ...(name === undefined ? {} : { membrane: name }),
        ...(since === undefined ? {} : { since }),
        ...(limit === undefined ? {} : { limit }),
      };
      const client = await openClient(args);
      try {
        if (args.follow) await followJournal(client, filter, args, output);
        else await printJournal(client, filter, args, output);
      } catch (error) {
        if (!isReaderGone(error)) throw nameFields(error, FIELDS);
      } finally {
        await client.close();
      }
    },
  };
}

async function printJournal(
  client: NamespaceClient,
  filter: EventsFilter,
  { json, name }: LogArguments,
  output: Output,
): Promise<void> {
  const printer = await createPrinter(output, json);
  const all: MembraneChange[] = [];
  let count = 0;
  for await (const { events, cutRevision } of readJournal(client.registry, filter)) {
    count += events.length;
    if (json) all.push(...events);
    else await printer.print(events);
    sayCut(cutRevision, output);
  }
  if (json) {
    const { toWire } = await import('@membrane/protocol');
    output.data(JSON.stringify(toWire<unknown>(all)));
  }
  if (count > 0) return;
  if (name !== undefined && (await client.discover(name)) === undefined) {
    throw new CommandError(`nothing is known of "${name}"`, EXIT_CODES.notFound);
  }
  if (!json) output.say('no changes');
}

async function followJournal(
  client: NamespaceClient,
  filter: EventsFilter,
  { json, name }: LogArguments,
  output: Output,
): Promise<void> {
  const ended = new AbortController();
  abortWhenTold(ended);
  const printer = await createPrinter(output, json);
  let since: string | undefined;
  const { signal } = ended;
  try {
    for await (const { events, revision, cutRevision } of readJournal(client.registry, filter, signal)) {
      signal.throwIfAborted();
      await printer.print(events);
      sayCut(cutRevision, output);
      since = revision;
    }
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  const ids = name === undefined ? undefined : [name];
  const options = { ids, since, ended, outage: new OutageWords(output), hasAnswered: true };
  await followChanges(client, options, async (change) => {
    if (change.event !== 'reset') return printer.print([change]);
    sayReset(change, output);
    if (json) await printer.printJson([change]);
  });
}

/** The table is loaded only where there is something to print. */
async function createPrinter(output: Output, json: boolean): Promise<ChangePrinter> {
  const { ChangePrinter } = await import('../change-printer.js');
  return new ChangePrinter(output, { json });
}

function sayCut(revision: number | undefined, output: Output): void {
  if (revision === undefined) return;
  output.say(`membrane: revision ${revision} changed more membranes than the journal shows at a time`);
}
