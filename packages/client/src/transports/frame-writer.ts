import { randomFillSync } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/**
 * Frames in one system call. More save calls; fewer let the other end begin with the first while the next are made:
 * with all of a turn in one call, two processes that have a processor each take turns.
 */
const MAX_FRAMES_PER_WRITE = 16;
/** The same in characters. */
const MAX_CHARACTERS_PER_WRITE = 64 * 1024;

/** RFC 6455, section 5.2: the last fragment, of text. */
const FINAL_TEXT = 0x81;
const MASKED = 0x80;
const MAX_HEADER_BYTES = 14;
const MASK_POOL_BYTES = 4_096;

const masks = Buffer.alloc(MASK_POOL_BYTES);
let maskPosition = MASK_POOL_BYTES;

/** How frames of this end are masked (RFC 6455, section 5.3): those of a client are. */
export type Masking =
  | 'none'
  /** So that nobody can choose what bytes an intermediary sees. */
  | 'random'
  /** By zeros: masked in form, for a socket that no intermediary is on. */
  | 'zero';

/**
 * Writes text frames. By hand, for `ws` makes two buffers and two writes of each, which costs as much as all the rest
 * of a delivery; here some of one turn of the event loop become one buffer. Control frames stay the library's.
 */
export class FrameWriter {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #masking: Masking;
  #texts: string[] = [];
  #characters = 0;
  #isFlushPlanned = false;

  constructor(webSocket: WebSocket, socket: Duplex, masking: Masking) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#masking = masking;
  }

  /** Bytes that the kernel has not taken yet, about. */
  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#characters;
  }

  /** At once, for a frame that nothing will follow soon. */
  writeNow(text: string): void {
    this.#texts.push(text);
    this.flush();
  }

  /** With those that come in the same turn. */
  write(text: string): void {
    this.#texts.push(text);
    this.#characters += text.length;
    if (this.#texts.length >= MAX_FRAMES_PER_WRITE || this.#characters >= MAX_CHARACTERS_PER_WRITE) {
      this.flush();
    } else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      process.nextTick(this.#flushAtEnd);
    }
  }

  /** Before anything is written to the socket by others. Does nothing on a connection that is not open. */
  flush(): void {
    if (this.#texts.length === 0) return;
    const texts = this.#texts;
    this.#texts = [];
    this.#characters = 0;
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#socket.write(this.#toFrames(texts));
  }

  readonly #flushAtEnd = (): void => {
    this.#isFlushPlanned = false;
    this.flush();
  };

  #toFrames(texts: readonly string[]): Buffer {
    let maxBytes = 0;
    const lengths = texts.map((text) => {
      const length = Buffer.byteLength(text);
      maxBytes += MAX_HEADER_BYTES + length;
      return length;
    });
    const bytes = Buffer.allocUnsafe(maxBytes);
    let end = 0;
    texts.forEach((text, index) => (end = this.#putFrame(bytes, end, text, lengths[index] ?? 0)));
    return bytes.subarray(0, end);
  }

  #putFrame(bytes: Buffer, start: number, text: string, length: number): number {
    const maskBit = this.#masking === 'none' ? 0 : MASKED;
    let position = start;
    bytes[position++] = FINAL_TEXT;
    if (length < 126) {
      bytes[position++] = maskBit | length;
    } else if (length < 65_536) {
      bytes[position++] = maskBit | 126;
      position = bytes.writeUInt16BE(length, position);
    } else {
      bytes[position++] = maskBit | 127;
      position = bytes.writeUInt32BE(0, position);
      position = bytes.writeUInt32BE(length, position);
    }
    if (this.#masking === 'zero') position = bytes.writeUInt32BE(0, position);
    if (this.#masking !== 'random') return position + bytes.write(text, position);
    const mask = nextMask();
    masks.copy(bytes, position, mask, mask + 4);
    position += 4;
    const end = position + bytes.write(text, position);
    for (let index = position, phase = 0; index < end; index += 1, phase += 1) {
      bytes[index] = (bytes[index] ?? 0) ^ (masks[mask + (phase & 3)] ?? 0);
    }
    return end;
  }
}

/** Where the next four random bytes are. */
function nextMask(): number {
  if (maskPosition === MASK_POOL_BYTES) {
    randomFillSync(masks);
    maskPosition = 0;
  }
  maskPosition += 4;
  return maskPosition - 4;
}
