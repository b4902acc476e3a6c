import type { CommandModule } from 'yargs';
import type { Membrane } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { openClient, type GlobalArguments } from '../global-options.js';
import { colorStatus, formatAge, toPrintable, type Output } from '../output.js';

interface DiscoverArguments extends GlobalArguments {
  name: string;
}

export function discoverCommand(output: Output): CommandModule<GlobalArguments, DiscoverArguments> {
  return {
    command: 'discover <name>',
    describe: 'find a membrane by its id',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', demandOption: true, description: 'whom to find' })
        .example('$0 discover oven', 'where "oven" is and how it is')
        .example('$0 discover oven --json | jq -r .endpoint', 'its address alone'),
    handler: async (args) => {
      const client = await openClient(args);
      try {
        const found = await client.discover(args.name);
        if (found === undefined) {
          const where = `namespace "${client.options.namespace}" of ${client.registry.url}`;
          throw new CommandError(
            `no membrane "${toPrintable(args.name)}" in ${where}; \`membrane list\` shows who is there`,
            EXIT_CODES.notFound,
          );
        }
        if (args.json) {
          const { toWire } = await import('@membrane/protocol');
          const { isStale, ...record } = found;
          output.data(JSON.stringify(toWire<unknown>(record)));
          return;
        }
        for (const [index, instance] of found.instances.entries()) {
          if (index > 0) output.data('');
          printInstance(instance, output);
        }
      } finally {
        await client.close();
      }
    },
  };
}

function describeCheck({ failingCheck }: Membrane, nowS: number): [string, string][] {
  if (failingCheck === undefined) return [];
  const { reason, since } = failingCheck;
  return [['check', `failing for ${formatAge(nowS - since)}: ${toPrintable(reason)}`]];
}

function printInstance(membrane: Membrane, output: Output): void {
  const nowS = Date.now() / 1_000;
  const lines: [string, string][] = [
    ['id', membrane.id],
    ['instance', membrane.instanceId],
    ['namespace', membrane.namespace],
    ['status', colorStatus(membrane.status, output)],
    ...describeCheck(membrane, nowS),
    ['parent', `${membrane.parent ?? '-'}${membrane.detached ? ' (absent)' : ''}`],
    ...membrane.endpoints.map(({ mode, address, realm }): [string, string] => [
      'endpoint',
      `${mode} ${toPrintable(address)}${realm == null ? '' : ` in ${toPrintable(realm)}`}`,
    ]),
    ['metadata', toPrintable(JSON.stringify(membrane.metadata))],
    [
      'registered',
      `${new Date(membrane.registeredAt * 1_000).toISOString()} (incarnation ${membrane.incarnation})`,
    ],
    [
      'heard',
      `${formatAge(nowS - membrane.lastHeartbeat)} ago; promises every ${membrane.heartbeatIntervalMs / 1_000} s`,
    ],
  ];
  for (const [name, value] of lines) output.data(`${`${name}:`.padEnd(12)}${value}`);
}
