import type { EventDraft } from './change.js';

/** What a watcher wants to hear of: a whole namespace, an id with everything below it, or some ids. */
export interface WatchFilter {
  readonly namespace: string;
  readonly subtree?: string | undefined;
  readonly ids?: ReadonlySet<string> | undefined;
}

/** The same for filters that let the same events pass. */
export function filterKey({ namespace, subtree, ids }: WatchFilter): string {
  return JSON.stringify([namespace, subtree ?? null, ids === undefined ? null : [...ids].sort()]);
}

/** True where the event is within the filter before it, after it, or both; by the ancestors that it tells itself. */
export function matchesFilter({ namespace, subtree, ids }: WatchFilter, event: EventDraft): boolean {
  if (event.namespace !== namespace) return false;
  if (ids !== undefined) return ids.has(event.id);
  return (
    subtree === undefined ||
    event.id === subtree ||
    event.before?.includes(subtree) === true ||
    event.after?.includes(subtree) === true ||
    inheritedBy(event, subtree).length > 0
  );
}

/** To whom the children of a membrane have gone that was dissolved or divided; not those who became roots. */
export function heirsOf({ heir, heirs }: EventDraft): readonly string[] {
  return [heir, ...(heirs?.values() ?? [])].filter((id): id is string => id != null);
}

/** Children of a membrane that was divided which have gone to this sibling of it. */
export function inheritedBy({ heirs }: EventDraft, id: string): readonly string[] {
  return heirs === undefined ? [] : [...heirs].flatMap(([childId, heir]) => (heir === id ? [childId] : []));
}

/** True where the event brings its id into the subtree of the filter from outside: what is below it comes along. */
export function entersSubtree({ subtree }: WatchFilter, { id, before, after }: EventDraft): boolean {
  if (subtree === undefined || id === subtree) return false;
  return after?.includes(subtree) === true && before?.includes(subtree) !== true;
}

/** True where the event gives its id another parent. */
export function changesPlace({ before, after }: EventDraft): boolean {
  return after !== undefined && after !== before && (before === undefined || before[0] !== after[0]);
}
