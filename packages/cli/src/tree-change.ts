import type { RegistryApi } from '@membrane/client';
import { openClient, type GlobalArguments } from './global-options.js';
import { nameFields } from './name-fields.js';
import type { Output } from './output.js';
import { readWholeNumber } from './whole-number.js';

/** What the registry answers to each. */
type TreeChange = Awaited<ReturnType<RegistryApi['move']>>;

export interface NameArguments extends GlobalArguments {
  name: string;
}

export interface RevisionArguments extends NameArguments {
  'if-revision': string | undefined;
}

/** Refuses the change where somebody else was faster. */
export const IF_REVISION_OPTION = {
  type: 'string',
  requiresArg: true,
  description: 'only if that is its revision: nobody has changed it meanwhile',
} as const;

const FIELDS = {
  id: 'the name',
  parent: 'the parent',
  if_revision: '--if-revision',
  instance_id: '--instance',
  reason: '--reason',
};

export function readIfRevision(args: RevisionArguments): { ifRevision?: number } {
  const ifRevision = readWholeNumber('if-revision', args['if-revision'], {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  });
  return ifRevision === undefined ? {} : { ifRevision };
}

/**
 * Changes the tree, and prints the answer as JSON, or says in words what was done. `change` may look before, and
 * returns how to say it, which may look once more.
 * @param fields what other fields of the call are called on the command line
 */
export async function changeTree(
  args: GlobalArguments,
  output: Output,
  change: (
    registry: RegistryApi,
  ) => Promise<{ answer: TreeChange; describe: () => Promise<string> | string }>,
  fields: Readonly<Record<string, string>> = {},
): Promise<void> {
  const client = await openClient(args);
  try {
    const { answer, describe } = await change(client.registry);
    if (args.json) output.data(JSON.stringify(answer));
    else output.say(await describe());
  } catch (error) {
    throw nameFields(error, { ...FIELDS, ...fields });
  } finally {
    await client.close();
  }
}

/** The ids of those that name it as their parent, whether or not it is there itself. */
export async function childrenOf(registry: RegistryApi, id: string): Promise<ReadonlySet<string>> {
  return new Set((await registry.listMembranes({ parent: id })).map((child) => child.id));
}

/**
 * Who has the children now that a change has ended a membrane, by the journal; null: they are roots; undefined: it cannot
 * be read.
 */
export async function heirAt(
  registry: RegistryApi,
  id: string,
  { revision }: TreeChange,
): Promise<string | null | undefined> {
  const { LIMITS } = await import('@membrane/protocol');
  const limit = LIMITS.maxInstancesPerId + 1;
  // It is done: that nobody can say more of it now must not look like a failure.
  const events = await registry.events({ membrane: id, since: revision - 1, limit }).catch(() => undefined);
  if (events === undefined) return undefined;
  return events.find((one) => one.event === 'dissolved' && one.revision === revision)?.after?.heir ?? null;
}
