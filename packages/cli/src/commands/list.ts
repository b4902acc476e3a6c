import type { CommandModule } from 'yargs';
import type { ListFilter, Membrane } from '@membrane/client';
import { openClient, type GlobalArguments } from '../global-options.js';
import { colorStatus, formatAge, toPrintable, type Output } from '../output.js';
import { parsePairs } from '../pairs.js';
import { MODES } from '../registration-options.js';

const STATUSES = ['active', 'unhealthy', 'draining'] as const;

interface ListArguments extends GlobalArguments {
  parent: string | undefined;
  roots: boolean | undefined;
  mode: (typeof MODES)[number] | undefined;
  status: (typeof STATUSES)[number] | undefined;
  meta: string[] | undefined;
}

export function listCommand(output: Output): CommandModule<GlobalArguments, ListArguments> {
  return {
    command: 'list',
    describe: 'list membranes',
    builder: (parser) =>
      parser
        .options({
          parent: { type: 'string', requiresArg: true, description: 'children of this membrane' },
          roots: { type: 'boolean', conflicts: 'parent', description: 'membranes without a parent' },
          mode: { choices: MODES, requiresArg: true, description: 'that are reached this way' },
          status: { choices: STATUSES, requiresArg: true, description: 'in this state' },
          meta: {
            type: 'array',
            string: true,
            requiresArg: true,
            description: 'with KEY=VALUE in their metadata',
          },
        })
        .example('$0 list --parent house', 'the children of house')
        .example('$0 list --meta zone=a --json', 'as JSON, those with {"zone":"a"}'),
    handler: async (args) => {
      const client = await openClient(args);
      try {
        const membranes = await client.listMembranes(toFilter(args));
        await printMembranes(membranes, args.json, output);
      } finally {
        await client.close();
      }
    },
  };
}

function toFilter({ parent, roots, mode, status, meta }: ListArguments): ListFilter {
  return {
    ...(roots === true ? { parent: null } : {}),
    ...(parent === undefined ? {} : { parent }),
    ...(mode === undefined ? {} : { communicationMode: mode }),
    ...(status === undefined ? {} : { status }),
    ...(meta === undefined ? {} : { metadata: parsePairs(meta) }),
  };
}

async function printMembranes(membranes: readonly Membrane[], json: boolean, output: Output): Promise<void> {
  if (json) {
    const { toWire } = await import('@membrane/protocol');
    output.data(JSON.stringify(toWire<unknown>(membranes)));
    return;
  }
  if (membranes.length === 0) {
    output.say('no membranes');
    return;
  }
  const { formatTable } = await import('../table.js');
  const nowS = Date.now() / 1_000;
  const rows = membranes.map((membrane) => [
    membrane.instanceId === 'default' ? membrane.id : `${membrane.id} (${membrane.instanceId})`,
    membrane.status,
    `${membrane.parent ?? '-'}${membrane.detached ? ' (absent)' : ''}`,
    membrane.communicationMode,
    formatAge(nowS - membrane.lastHeartbeat),
    toPrintable(membrane.endpoint),
  ]);
  const columns = [
    { title: 'ID', flexible: true },
    { title: 'STATUS', color: (status: string) => colorStatus(status, output) },
    { title: 'PARENT', flexible: true },
    { title: 'MODE' },
    { title: 'HEARD' },
    { title: 'ENDPOINT', flexible: true },
  ];
  output.data(formatTable(columns, rows, output));
}
