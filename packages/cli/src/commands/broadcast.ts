import type { CommandModule } from 'yargs';
import type { BroadcastReport, NamespaceClient } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import type { GlobalArguments } from '../global-options.js';
import {
  sayAttempts,
  withMessage,
  withMessageOptions,
  withWaitOption,
  type WaitArguments,
} from '../message-options.js';
import { toPrintable, type Output } from '../output.js';

export function broadcastCommand(
  output: Output,
  exit: { code: number },
): CommandModule<GlobalArguments, WaitArguments> {
  return {
    command: 'broadcast <target> <message>',
    describe: 'send a message to many membranes',
    builder: (parser) =>
      withWaitOption(
        withMessageOptions(parser, 'whom: @in* (all children), @siblings, @subtree, @subtree:ID, @all:ID'),
      ).example('$0 broadcast @subtree:house "lights out"', 'everybody below house'),
    handler: async (args) => {
      const { result: report } = await withMessage(
        args,
        output,
        async (client, payload, options) => {
          const found = await client.broadcast(args.target, payload, {
            ...options,
            waitFor: args['wait-for'],
          });
          if (found.members.length === 0) await assertRoot(args.target, client);
          return found;
        },
        { isToMany: true },
      );
      await print(report, args, output);
      const missed = report.members.filter(({ error }) => error !== undefined).length;
      if (missed === 0) return;
      output.say(`membrane: ${missed} of ${report.members.length} were not reached`);
      exit.code = EXIT_CODES.notDelivered;
    },
  };
}

/** Below a name that nobody has there is nobody either: it may be misspelt. */
async function assertRoot(target: string, client: NamespaceClient): Promise<void> {
  const { parseTarget } = await import('@membrane/protocol');
  const parsed = parseTarget(target);
  if (parsed.kind !== 'subtree' || parsed.id === undefined) return;
  if ((await client.discover(parsed.id)) !== undefined) return;
  throw new CommandError(`there is no membrane "${parsed.id}"`, EXIT_CODES.notFound);
}

async function print(report: BroadcastReport, args: WaitArguments, output: Output): Promise<void> {
  if (args.debug) {
    for (const { delivery, error } of report.members) {
      sayAttempts(delivery?.attempts ?? error?.details.attempts ?? [], output);
    }
  }
  if (args.json) {
    const { toWire } = await import('@membrane/protocol');
    const members = report.members.map(({ error, ...member }) => ({
      ...member,
      ...(error === undefined ? {} : { error: { code: error.code, detail: error.message } }),
    }));
    output.data(JSON.stringify(toWire<unknown>({ target: report.target, members })));
    return;
  }
  if (report.members.length === 0) {
    output.say(`no membrane is meant by ${args.target}`);
    return;
  }
  const { formatTable } = await import('../table.js');
  const rows = report.members.map(({ id, instanceId, result, delivery, error }) => [
    instanceId === undefined ? id : `${id} (${instanceId})`,
    result,
    delivery?.route.kind ?? '-',
    toPrintable(error?.message ?? ''),
  ]);
  const columns = [
    { title: 'ID', flexible: true },
    { title: 'RESULT' },
    { title: 'ROUTE' },
    { title: 'WHY', flexible: true },
  ];
  output.data(formatTable(columns, rows, output));
}
