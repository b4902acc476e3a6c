import type { MembraneChange } from '@membrane/client';
import { shorten, toPrintable } from './output.js';

type Place = MembraneChange['before'];

/** Heirs that a line names. */
const MAX_NAMED_HEIRS = 8;

/** Fields that every change has, or that are told in another way. */
const USUAL_FIELDS: ReadonlySet<string> = new Set([
  ...['revision', 'event', 'id', 'namespace', 'instanceId', 'timestamp', 'record', 'before', 'after'],
]);

/** What a change did, beside its name and whom it befell: in words for a line, empty where there is nothing to say. */
export function describeChange(change: MembraneChange): string {
  const { before, after, record } = change;
  // A newer registry may know events that this command does not.
  switch (change.event as string) {
    case 'registered':
    case 'unhealthy':
    case 'recovered':
      return describePlace(after);
    case 'updated': {
      const address =
        record === undefined ? '' : `${record.communicationMode} ${toPrintable(record.endpoint)}`;
      return joinWords([describePlace(after), address]);
    }
    case 'draining':
      return record?.drain?.reason == null ? 'no reason given' : toPrintable(record.drain.reason);
    case 'moved':
      if (before === undefined) return joinWords(['came along', describePlace(after)]);
      return `${nameOf(before)} -> ${nameOf(after)}`;
    case 'dissolved':
      return describeHeirs(after);
    case 'deregistered':
    case 'expired':
      return before === undefined ? '' : `was ${describePlace(before)}`;
    case 'preservation_started':
    case 'preservation_ended':
      return describePreservation(change);
    default:
      return joinWords([describePlace(after ?? before), ...describeOthers(change)]);
  }
}

function describePlace(place: Place): string {
  if (place === undefined) return '';
  const [parent] = place.ancestors;
  return parent === undefined ? 'a root' : `below ${parent}`;
}

function nameOf(place: Place): string {
  return place?.ancestors[0] ?? '(top)';
}

function describeHeirs(after: MembraneChange['after']): string {
  if (after === undefined) return '';
  const named = Object.entries(after.heirs ?? {});
  const heir = after.heir == null ? 'are roots' : `to ${after.heir}`;
  if (named.length === 0) return `children ${heir}`;
  const shown = named.slice(0, MAX_NAMED_HEIRS).map(([child, sibling]) => `${child} to ${sibling}`);
  const more = named.length > shown.length ? [`${named.length - shown.length} more`] : [];
  return joinWords([...shown, ...more, `other children ${heir}`]);
}

/** How many of a subtree are silent. */
function describePreservation(
  change: MembraneChange & { preservation?: { n: number; s: number } | undefined },
): string {
  const { preservation } = change;
  return preservation === undefined ? '' : `${preservation.s} of ${preservation.n} silent`;
}

function describeOthers(change: MembraneChange): string[] {
  return Object.entries(change)
    .filter(([field]) => !USUAL_FIELDS.has(field))
    .map(([field, value]) => toPrintable(shorten(`${field} ${JSON.stringify(value)}`)));
}

function joinWords(words: readonly string[]): string {
  return words.filter((word) => word !== '').join(', ');
}
