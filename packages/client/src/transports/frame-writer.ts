import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/**
 * Frames in one system call. More save calls; fewer let the other end begin with the first while the next are made,
 * where both have a processor: 16 is where the two meet for messages of a few hundred bytes.
 */
const MAX_FRAMES_PER_WRITE = 16;

/** Writes text frames, some of one turn of the event loop in one system call. */
export class FrameWriter {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #flushAtEnd: () => void;
  /** In the buffer of the socket, until it is uncorked. */
  #corkedFrames = 0;
  #isFlushPlanned = false;

  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#flushAtEnd = () => {
      this.#isFlushPlanned = false;
      if (this.#corkedFrames > 0) this.#flush();
    };
  }

  /** Bytes that the kernel has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Does nothing on a connection that is not open. */
  write(text: string): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    if (this.#corkedFrames === 0) this.#socket.cork();
    this.#corkedFrames += 1;
    this.#webSocket.send(text);
    if (this.#corkedFrames >= MAX_FRAMES_PER_WRITE) this.#flush();
    else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      process.nextTick(this.#flushAtEnd);
    }
  }

  #flush(): void {
    this.#corkedFrames = 0;
    this.#socket.uncork();
  }
}
