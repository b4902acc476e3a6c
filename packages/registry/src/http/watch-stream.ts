import type { ServerResponse } from 'node:http';
import { REVISION_HEADER } from '@membrane/protocol';
import type { WatchSink } from '../service/watcher.js';

/** A response that goes on for as long as somebody watches: server-sent events. */
export class WatchStream implements WatchSink {
  readonly #response: ServerResponse;

  /** Sends the head. `revision`: of the state at which it begins. */
  constructor(response: ServerResponse, revision: string) {
    this.#response = response;
    // Its end is that of the connection: chunks, made anew for each watcher, would be a quarter of what a write costs.
    response.removeHeader('Transfer-Encoding');
    response.writeHead(200, [
      'Connection',
      'close',
      'Content-Type',
      'text/event-stream',
      // Neither kept nor held back by what is in between.
      'Cache-Control',
      'no-store',
      'X-Accel-Buffering',
      'no',
      REVISION_HEADER,
      revision,
    ]);
    response.flushHeaders();
  }

  get bufferedBytes(): number {
    return this.#response.writableLength;
  }

  write(data: Buffer): boolean {
    return this.#response.write(data);
  }

  end(): void {
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
