import type { Readable } from 'node:stream';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { MembraneError } from '@membrane/protocol';
import type { Clock } from '../clock.js';

/** A registry sends a bookmark every 15 s: one that is silent for so long is gone, whatever its socket says. */
const MAX_SILENCE_MS = 45_000;

/**
 * Server-sent events, as they come. Nobody reads the stream while nobody asks for the next one.
 * @throws MembraneError `registry_unreachable` where the stream breaks or falls silent.
 */
export async function* readEvents(body: Readable, clock: Clock): AsyncGenerator<EventSourceMessage> {
  const found: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => found.push(event) });
  const decoder = new TextDecoder();
  const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = clock.setTimer(() => {
        body.destroy(new Error(`it was silent for ${MAX_SILENCE_MS} ms`));
      }, MAX_SILENCE_MS);
      const next = await chunks.next().finally(() => {
        timer.cancel();
      });
      if (next.done === true) throw new Error('it ended');
      parser.feed(decoder.decode(next.value, { stream: true }));
      yield* found.splice(0);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MembraneError('registry_unreachable', `the stream of the registry broke: ${reason}`, { cause });
  } finally {
    body.destroy();
  }
}
