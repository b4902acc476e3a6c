import type { RegistryStatus, StatusCounts } from '@membrane/protocol';
import type { RegistryState } from './registry-state.js';

/** What `/status` tells of the state. Counts are kept, not counted. */
export function describeState(
  state: RegistryState,
): Pick<RegistryStatus, 'membrane_count' | 'revision' | 'counts' | 'namespaces' | 'recovering' | 'mailbox'> {
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
    mailbox: { messages: waiting, bytes, dead_letters: deadLetters },
  };
}
