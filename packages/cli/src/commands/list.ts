import type { CommandModule } from 'yargs';
import type { ListFilter, Membrane } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { openRegistryApi, type GlobalArguments } from '../global-options.js';
import { colorStatus, formatAge, toPrintable, type Output } from '../output.js';

const MODES = ['shared-volume', 'network', 'ipc'] as const;
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
      const api = await openRegistryApi(args);
      try {
        const membranes = await api.listMembranes(toFilter(args));
        await printMembranes(membranes, args.json, output);
      } finally {
        api.close();
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

function parsePairs(texts: readonly string[]): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const [key, value] of texts.map(parsePair)) {
    if (pairs.has(key)) throw new CommandError(`--meta ${key} must be given once`, EXIT_CODES.usage);
    pairs.set(key, value);
  }
  return Object.fromEntries(pairs);
}

function parsePair(text: string): [string, string] {
  const separator = text.indexOf('=');
  if (separator < 1) {
    throw new CommandError(`--meta must be KEY=VALUE; got "${text}"`, EXIT_CODES.usage);
  }
  return [text.slice(0, separator), text.slice(separator + 1)];
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
