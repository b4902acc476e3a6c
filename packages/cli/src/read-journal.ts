import type { EventsFilter, MembraneChange, RegistryApi } from '@membrane/client';

export interface JournalPage {
  readonly events: readonly MembraneChange[];
  /** `LOG:REVISION`: what a watch goes on from. */
  readonly revision: string;
  /** A revision of which only a part is in `events`, since it has more than one answer may hold. */
  readonly cutRevision?: number;
}

/** The newest `limit` events of the journal; with `since`, all that came after it, page by page. */
export async function* readJournal(
  registry: RegistryApi,
  { since, ...filter }: EventsFilter,
  signal?: AbortSignal,
): AsyncGenerator<JournalPage, undefined> {
  if (since === undefined) {
    yield await registry.journal(filter, { signal });
    return;
  }
  const { LIMITS } = await import('@membrane/protocol');
  const limit = LIMITS.maxPageSize;
  for (let from = since; ;) {
    const { events, revision } = await registry.journal({ ...filter, since: from, limit }, { signal });
    const last = events.at(-1)?.revision;
    if (events.length < limit || last === undefined) {
      yield { events, revision };
      return;
    }
    // The last one may go on: it is read again, as a whole.
    const whole = events.filter((event) => event.revision < last);
    if (whole.length > 0) yield { events: whole, revision };
    else yield { events, revision, cutRevision: last };
    from = whole.at(-1)?.revision ?? last;
  }
}
