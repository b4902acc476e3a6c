import { MembraneError, type JsonValue } from '@membrane/protocol';

/**
 * What a handler returned, as JSON.
 * @throws MembraneError `handler_failed` where it has no JSON, `payload_too_large`
 */
export function toReplyJson(reply: JsonValue, maxBytes: number): string {
  let text: unknown;
  try {
    text = JSON.stringify(reply);
  } catch (cause) {
    throw new MembraneError('handler_failed', `the reply is no JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof text !== 'string') throw new MembraneError('handler_failed', 'the reply is no JSON');
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw new MembraneError('payload_too_large', `the reply is longer than ${maxBytes} bytes as JSON`);
  }
  return text;
}
