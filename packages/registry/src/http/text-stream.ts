import type { ServerResponse } from 'node:http';
import { streamHeaders } from './answer.js';

/** Sends an answer in pieces, as fast as they are read; other requests are served between two of them. */
export async function streamText(
  response: ServerResponse,
  revision: string,
  pieces: Iterable<string>,
): Promise<void> {
  response.writeHead(200, streamHeaders(revision));
  for (const text of pieces) {
    if (text !== '' && !response.write(text)) await drained(response);
    await new Promise(setImmediate);
    if (response.destroyed) return;
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}
