import type { CommandModule } from 'yargs';
import type { ListFilter, Membrane } from '@membrane/client';
import { openClient, type GlobalArguments } from '../global-options.js';
import { nameFields } from '../name-fields.js';
import type { Output } from '../output.js';
import { parsePairs } from '../pairs.js';
import { MODES } from '../registration-options.js';

/** What the fields of the call are called here. */
const FIELDS = { parent: '--parent', subtree: '--subtree' };

const STATUSES = ['active', 'unhealthy', 'draining'] as const;

interface ListArguments extends GlobalArguments {
  parent: string | undefined;
  roots: boolean | undefined;
  subtree: string | undefined;
  mode: (typeof MODES)[number] | undefined;
  status: (typeof STATUSES)[number] | undefined;
  meta: string[] | undefined;
  watch: boolean;
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
          subtree: {
            type: 'string',
            requiresArg: true,
            description: 'this membrane and what is below it',
          },
          mode: { choices: MODES, requiresArg: true, description: 'that are reached this way' },
          status: { choices: STATUSES, requiresArg: true, description: 'in this state' },
          meta: {
            type: 'array',
            string: true,
            requiresArg: true,
            description: 'with KEY=VALUE in their metadata',
          },
          watch: { type: 'boolean', default: false, description: 'go on with those that change' },
        })
        .example('$0 list --parent house', 'the children of house')
        .example('$0 list --meta zone=a --json', 'as JSON, those with {"zone":"a"}')
        .example('$0 list --status unhealthy --watch', 'and whoever falls silent later'),
    handler: async (args) => {
      const client = await openClient(args);
      try {
        const filter = toFilter(args);
        if (args.watch) {
          const { watchList } = await import('../watch-list.js');
          await watchList(client, filter, { json: args.json, output });
        } else {
          await printMembranes(await client.listMembranes(filter), args.json, output);
        }
      } catch (error) {
        throw nameFields(error, FIELDS);
      } finally {
        await client.close();
      }
    },
  };
}

function toFilter({ parent, roots, subtree, mode, status, meta }: ListArguments): ListFilter {
  return {
    ...(roots === true ? { parent: null } : {}),
    ...(parent === undefined ? {} : { parent }),
    ...(subtree === undefined ? {} : { subtree }),
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
  const { MembraneTable } = await import('../membrane-table.js');
  output.data(new MembraneTable(output).format(membranes));
}
