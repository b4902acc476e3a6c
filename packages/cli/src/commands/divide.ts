import type { CommandModule } from 'yargs';
import type { GlobalArguments } from '../global-options.js';
import type { Output } from '../output.js';
import { parsePairs } from '../pairs.js';
import {
  changeTree,
  childrenOf,
  heirAt,
  IF_REVISION_OPTION,
  readIfRevision,
  type RevisionArguments,
} from '../tree-change.js';

/** Children that the words for people name. */
const MAX_NAMED_CHILDREN = 8;

interface DivideArguments extends RevisionArguments {
  heirs: string[];
}

export function divideCommand(output: Output): CommandModule<GlobalArguments, DivideArguments> {
  return {
    command: 'divide <name> <heirs..>',
    describe: 'end a membrane; its siblings share its children',
    builder: (parser) =>
      parser
        .positional('name', { type: 'string', demandOption: true, description: 'whom to divide' })
        .positional('heirs', {
          type: 'string',
          array: true,
          demandOption: true,
          description: 'CHILD=SIBLING: who gets whom; other children go to the parent',
        })
        .options({ 'if-revision': IF_REVISION_OPTION })
        .example('$0 divide kitchen oven=hall sink=bath', 'its messages go to the first sibling named'),
    handler: async (args) => {
      const { name: id } = args;
      const heirs = parsePairs(args.heirs, { what: 'an heir', form: 'CHILD=SIBLING' });
      const ifRevision = readIfRevision(args);
      const fields = Object.fromEntries(
        Object.keys(heirs).map((child) => [`heirs.${child}`, `the heir of "${child}"`]),
      );
      await changeTree(
        args,
        output,
        async (registry) => {
          const children = args.json ? new Set<string>() : await childrenOf(registry, id);
          const answer = await registry.divide({ id, heirs, ...ifRevision });
          const others = [...children].filter((child) => !Object.hasOwn(heirs, child)).length;
          return {
            answer,
            describe: async () => describe(id, heirs, others, await heirAt(registry, id, answer)),
          };
        },
        { ...fields, heirs: 'an heir' },
      );
    },
  };
}

function describe(
  id: string,
  heirs: Readonly<Record<string, string>>,
  others: number,
  parent: string | null | undefined,
): string {
  const named = Object.entries(heirs);
  const given = named.slice(0, MAX_NAMED_CHILDREN).map(([child, heir]) => `"${child}" to "${heir}"`);
  if (named.length > given.length) given.push(`${named.length - given.length} more as named`);
  if (others > 0) {
    const children = others === 1 ? 'the other child' : `the other ${others} children`;
    const place = parent === undefined ? 'its parent' : `"${parent ?? ''}"`;
    given.push(`${children} to ${parent === null ? 'the top' : place}`);
  }
  return `"${id}" is divided: ${given.join(', ')}; its messages to "${named[0]?.[1] ?? ''}"`;
}
