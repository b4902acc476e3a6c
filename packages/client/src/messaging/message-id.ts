import { randomFillSync } from 'node:crypto';

const RANDOM_BYTES_PER_ID = 10;
const POOL_BYTES = RANDOM_BYTES_PER_ID * 512;
const MAX_COUNTER = 0xfff;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export interface MessageIdSources {
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  readonly fillRandom: (bytes: Buffer) => void;
}

/**
 * A maker of UUIDs of version 7 (RFC 9562) that rise: the 12 bits after the time count within a millisecond, from a
 * random start in the lower half of their range (section 6.2, method 1); where they run over, and where the clock is
 * set back, the time in the id goes on from the last one. Written by hand since `crypto.randomUUID` makes version 4
 * only, and a message a few microseconds long is no place for a generic one.
 */
export function createMessageIds({ nowMs, fillRandom }: MessageIdSources): () => string {
  const pool = Buffer.alloc(POOL_BYTES);
  let position = POOL_BYTES;
  let lastMs = -1;
  let counter = 0;
  let prefix = '';

  const hex = (offset: number): string => HEX[pool[position + offset] ?? 0] ?? '';
  const startMillisecond = (ms: number): void => {
    lastMs = ms;
    counter = (pool.readUInt16BE(position + 8) & MAX_COUNTER) >> 1;
    const time = ms.toString(16).padStart(12, '0');
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  };

  return () => {
    if (position === POOL_BYTES) {
      fillRandom(pool);
      position = 0;
    }
    const now = nowMs();
    if (now > lastMs) startMillisecond(now);
    else if (counter === MAX_COUNTER) startMillisecond(lastMs + 1);
    else counter += 1;
    const low = counter & 0xff;
    const variant = HEX[0x80 | ((pool[position] ?? 0) & 0x3f)] ?? '';
    const id =
      `${prefix}${(counter >> 8).toString(16)}${HEX[low] ?? ''}-${variant}${hex(1)}-` +
      `${hex(2)}${hex(3)}${hex(4)}${hex(5)}${hex(6)}${hex(7)}`;
    position += RANDOM_BYTES_PER_ID;
    return id;
  };
}

/** A new UUID of version 7, above all that this process made before. */
export const newMessageId: () => string = createMessageIds({
  nowMs: Date.now,
  fillRandom: (bytes) => randomFillSync(bytes),
});
