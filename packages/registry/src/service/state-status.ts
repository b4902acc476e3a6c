import type { PreservedSubtree, RegistryStatus, StatusCounts } from '@membrane/protocol';
import type { RegistryState } from './registry-state.js';

/** Preserved subtrees that are listed: a status is read often. */
const MAX_LISTED_SUBTREES = 1_000;

/** What `/status` tells of the state. Counts are kept, not counted. */
export function describeState(
  state: RegistryState,
  isPreservationOn: boolean,
): Pick<
  RegistryStatus,
  'membrane_count' | 'revision' | 'counts' | 'namespaces' | 'recovering' | 'preservation' | 'mailbox'
> {
  const namespaces = Object.fromEntries(state.directory.counts());
  const counts: StatusCounts = { active: 0, unhealthy: 0, draining: 0 };
  for (const { active, unhealthy, draining } of Object.values(namespaces)) {
    counts.active += active;
    counts.unhealthy += unhealthy;
    counts.draining += draining;
  }
  const { waiting, bytes, deadLetters } = state.mail;
  return {
    membrane_count: state.leases.size,
    revision: state.revision,
    counts,
    namespaces,
    recovering: state.recovering,
    ...(isPreservationOn ? { preservation: describePreservation(state) } : {}),
    mailbox: { messages: waiting, bytes, dead_letters: deadLetters },
  };
}

/** The largest first, and the namespace before those in it. */
function describePreservation(state: RegistryState): PreservedSubtree[] {
  const subtrees = [...state.preserved].map(({ namespace, id, sinceMs }) => {
    const { n, s, held } = state.leaseCounts.of(namespace, id);
    return { namespace, subtree: id, n, s, held, since: Math.round(sinceMs) / 1_000 };
  });
  return subtrees
    .sort((one, other) => other.n - one.n || (one.subtree < other.subtree ? -1 : 1))
    .slice(0, MAX_LISTED_SUBTREES);
}
