import { randomBytes } from 'node:crypto';

/** A UUID of version 7 (RFC 9562, section 5.7): ids sort by the millisecond they were made in. */
export function makeMessageId(wallMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Math.floor(wallMs), 0, 6);
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
