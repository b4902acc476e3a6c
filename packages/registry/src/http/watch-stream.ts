import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { REVISION_HEADER } from '@membrane/protocol';
import type { WatchSink } from '../service/watcher.js';

/** A response that goes on for as long as somebody watches: server-sent events. */
export class WatchStream implements WatchSink {
  readonly #response: ServerResponse;
  /**
   * The connection itself: a response would have nothing to add to what ends with it, and takes a third of the time of
   * a write. It has none yet where an earlier request on the same connection is still to be answered.
   */
  readonly #out: Writable;

  /** Sends the head. `revision`: of the state at which it begins. */
  constructor(response: ServerResponse, revision: string) {
    this.#response = response;
    this.#out = response.socket ?? response;
    // Its end is that of the connection. Chunks would be made anew for each watcher.
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
    return this.#out.writableLength;
  }

  write(data: Buffer): boolean {
    return this.#out.write(data);
  }

  /** It takes more again, after a write said that it does not. */
  onDrained(listener: () => void): void {
    this.#out.on('drain', listener);
  }

  end(): void {
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
