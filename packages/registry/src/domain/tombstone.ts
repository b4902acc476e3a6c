import { MembraneError } from '@membrane/protocol';

/**
 * Stands in the place of a membrane that was dissolved or divided: whoever names it means its heir. So its end is one
 * write, whatever it leaves. Those it names may have such an end themselves later; nobody can name it who did not
 * before, so a chain of them has no cycle.
 */
export interface Tombstone {
  /** Who has the children; null: they are roots. */
  readonly heir: string | null;
  /** By child, where a division gave it to somebody else. */
  readonly heirs: ReadonlyMap<string, string | null>;
  /** Who has the messages; null: nobody. */
  readonly mailHeir: string | null;
}

/** Everybody that a tombstone names. */
export function heirsIn({ heir, heirs, mailHeir }: Tombstone): Set<string> {
  const names = new Set<string>();
  for (const name of [heir, mailHeir, ...heirs.values()]) if (name !== null) names.add(name);
  return names;
}

/** Who has this child. */
export function heirOf({ heir, heirs }: Tombstone, childId: string): string | null {
  return heirs.size === 0 ? heir : heirs.has(childId) ? (heirs.get(childId) ?? null) : heir;
}

/** How many heirs an error names. */
const MAX_NAMED_HEIRS = 8;

/** The error for an id that is not there, where it may have been dissolved or divided: it names the heir. */
export function absentError(
  node: { readonly tombstone: Tombstone | null } | undefined,
  namespace: string,
  id: string,
): MembraneError {
  const tombstone = node?.tombstone;
  if (tombstone == null)
    return new MembraneError('not_found', `no membrane "${id}" in namespace "${namespace}"`);
  const { heir, heirs } = tombstone;
  const others = [...new Set(heirs.values())].filter((name) => name !== null && name !== heir);
  const names = [...others, ...(heir === null ? [] : [heir])].map((name) => `"${name}"`);
  const shown = names.slice(0, MAX_NAMED_HEIRS).join(', ');
  const more = names.length > MAX_NAMED_HEIRS ? ` and ${names.length - MAX_NAMED_HEIRS} more` : '';
  const heirText =
    names.length === 0
      ? 'it has no heir'
      : `${names.length === 1 ? 'its heir is' : 'its heirs are'} ${shown}${more}`;
  const what = heirs.size === 0 ? 'dissolved' : 'divided';
  return new MembraneError('not_found', `"${id}" in namespace "${namespace}" was ${what}; ${heirText}`);
}
