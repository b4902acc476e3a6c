import type { EventDraft } from './change.js';

/**
 * What a read looks at: an id, the children of an id, or an id and everything below it. `TOP` stands for the
 * namespace: its children are the roots, what is below it is everything.
 */
export interface Scope {
  readonly kind: 'node' | 'children' | 'subtree';
  readonly namespace: string;
  readonly id: string;
}

/** No id is empty. */
export const TOP = '';

/** Events that make a parent present or absent: its children are detached by them, or are no more. */
const PRESENCE: ReadonlySet<string> = new Set(['registered', 'deregistered', 'expired', 'dissolved']);

/** Tells every scope of the event's namespace in which a read would see something else now. Some are told twice. */
export function visitScopes(event: EventDraft, visit: (kind: Scope['kind'], id: string) => void): void {
  const { id, before, after, preservation } = event;
  // Who is preserved is in no record.
  if (preservation !== undefined) return;
  visit('node', id);
  visit('subtree', TOP);
  visit('subtree', id);
  if (PRESENCE.has(event.event)) visit('children', id);
  if (before !== undefined) visitPlace(before, visit);
  if (after !== undefined && after !== before) visitPlace(after, visit);
  // Of a division: its children have gone to siblings, which stand in no ancestors.
  for (const [childId, heir] of event.heirs ?? []) {
    visit('node', childId);
    visit('children', heir ?? TOP);
    if (heir !== null) visit('subtree', heir);
  }
}

function visitPlace(ancestors: readonly string[], visit: (kind: Scope['kind'], id: string) => void): void {
  visit('children', ancestors[0] ?? TOP);
  for (const ancestor of ancestors) visit('subtree', ancestor);
}
