import type { CommandModule } from 'yargs';
import type { GlobalArguments } from '../global-options.js';
import type { Output } from '../output.js';
import {
  changeTree,
  childrenOf,
  heirAt,
  IF_REVISION_OPTION,
  readIfRevision,
  type RevisionArguments,
} from '../tree-change.js';

export function dissolveCommand(output: Output): CommandModule<GlobalArguments, RevisionArguments> {
  return {
    command: 'dissolve <name>',
    describe: 'end a membrane; its children and messages belong to its parent',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', demandOption: true, description: 'whom to dissolve' })
        .options({ 'if-revision': IF_REVISION_OPTION })
        .example('$0 dissolve kitchen', 'the oven in it stands in the house then'),
    handler: async (args) => {
      const { name: id } = args;
      const ifRevision = readIfRevision(args);
      await changeTree(args, output, async (registry) => {
        const children = args.json ? undefined : await childrenOf(registry, id);
        const answer = await registry.dissolve({ id, ...ifRevision });
        return {
          answer,
          describe: async () => describe(id, children?.size ?? 0, await heirAt(registry, id, answer)),
        };
      });
    },
  };
}

function describe(id: string, count: number, heir: string | null | undefined): string {
  if (heir === undefined) return `"${id}" is dissolved`;
  const children = count === 1 ? 'its child' : `its ${count} children`;
  if (heir === null) {
    if (count === 0) return `"${id}" is dissolved; it had no children`;
    return `"${id}" is dissolved; ${children} ${count === 1 ? 'is a root' : 'are roots'} now`;
  }
  if (count === 0)
    return `"${id}" is dissolved; it had no children, and its messages belong to "${heir}" now`;
  return `"${id}" is dissolved; ${children} and its messages belong to "${heir}" now`;
}
