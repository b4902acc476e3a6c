import type { ServerResponse } from 'node:http';
import { streamHeaders } from './answer.js';

/** How long a reader may leave a piece unread, so that nobody holds for ever what an answer is made of. */
const MAX_STALL_MS = 30_000;

/**
 * Sends an answer in pieces, as fast as they are read; other requests are served between two of them. One that is not
 * read is cut.
 */
export async function streamText(
  response: ServerResponse,
  revision: string,
  pieces: Iterable<string>,
  { maxStallMs = MAX_STALL_MS }: { maxStallMs?: number } = {},
): Promise<void> {
  response.writeHead(200, streamHeaders(revision));
  for (const text of pieces) {
    if (text !== '' && !response.write(text)) await drained(response, maxStallMs);
    await new Promise(setImmediate);
    if (response.destroyed) return;
  }
  response.end();
}

function drained(response: ServerResponse, maxStallMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done).off('close', done);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      done();
    }, maxStallMs);
    response.once('drain', done).once('close', done);
  });
}
