import { hash } from 'node:crypto';
import type { Envelope } from './message.js';

/**
 * What tells a message from all others for the same receiver. Ids that a session made are unique. Those of foreign
 * senders are not: two may both count from one, and one does so again after a restart; their sender and what they say
 * count too.
 */
export function messageKey(envelope: Envelope & { id: string }): string {
  const { id, session, sender, type, stream, correlation_id: correlationId, payload } = envelope;
  if (session != null) return id;
  const content = JSON.stringify([type ?? null, stream ?? null, correlationId ?? null, payload]);
  // Neither a name nor an id has a space in it.
  return `${sender} ${id} ${hash('sha256', content, 'base64url')}`;
}
