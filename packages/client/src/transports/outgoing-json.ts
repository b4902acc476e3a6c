import { MembraneError } from '@membrane/protocol';
import type { OutgoingMessage } from './transport.js';

/**
 * The envelope as JSON at the time of writing: `ttl_ms` is what is left until the deadline, and `attempt` counts those
 * that were written before.
 * @throws MembraneError `payload_too_large`
 */
export function toEnvelopeJson(
  { envelope, deadlineAtMs }: OutgoingMessage,
  {
    nowMs,
    earlierWrites,
    maxMessageBytes,
  }: { nowMs: number; earlierWrites: number; maxMessageBytes: number },
): string {
  const ttlMs = Math.max(Math.floor(deadlineAtMs - nowMs), 0);
  let text: string;
  if (earlierWrites === 0 && envelope.ttl_ms === undefined) {
    // Without a copy of the envelope: nothing is left out of an object that has an id.
    text = `${JSON.stringify(envelope).slice(0, -1)},"ttl_ms":${ttlMs}}`;
  } else {
    const attempt = (envelope.attempt ?? 1) + earlierWrites;
    text = JSON.stringify({ ...envelope, ttl_ms: ttlMs, attempt });
  }
  // A UTF-16 unit takes up to 3 bytes.
  if (text.length * 3 > maxMessageBytes && Buffer.byteLength(text) > maxMessageBytes) {
    throw new MembraneError(
      'payload_too_large',
      `a message must be at most ${maxMessageBytes} bytes as JSON`,
    );
  }
  return text;
}
