import type { CommandModule } from 'yargs';
import type { MembraneTree } from '@membrane/client';
import { openClient, type GlobalArguments } from '../global-options.js';
import { nameFields } from '../name-fields.js';
import type { Output } from '../output.js';
import { formatTrees } from '../tree-lines.js';
import { readWholeNumber } from '../whole-number.js';

interface TreeArguments extends GlobalArguments {
  name: string | undefined;
  depth: string | undefined;
}

export function treeCommand(output: Output): CommandModule<GlobalArguments, TreeArguments> {
  return {
    command: 'tree [name]',
    describe: 'draw the tree, or what is below one membrane',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', description: 'the one at the top [all trees]' })
        .options({
          depth: { type: 'string', requiresArg: true, description: 'so many levels below the top [all]' },
        })
        .example('$0 tree', 'who is where, and how they are')
        .example('$0 tree house --depth 1', 'a house with its rooms'),
    handler: async (args) => {
      const { LIMITS } = await import('@membrane/protocol');
      const depth = readWholeNumber('depth', args.depth, { min: 0, max: LIMITS.maxTreeDepth });
      const client = await openClient(args);
      try {
        const trees = await client.tree(args.name, { depth });
        if (args.json) output.data(JSON.stringify(await toJson(trees, args.name)));
        else if (trees.length === 0) output.say('no membranes');
        else output.data(formatTrees(trees, output));
      } catch (error) {
        throw nameFields(error, { id: 'the name' });
      } finally {
        await client.close();
      }
    },
  };
}

/** As the registry answers: one tree for a name, else all of them. */
async function toJson(trees: readonly MembraneTree[], name: string | undefined): Promise<unknown> {
  const { toWire } = await import('@membrane/protocol');
  return toWire<unknown>(name === undefined ? trees : trees[0]);
}
