import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import { isMembraneError, MembraneError, type Envelope } from '@membrane/protocol';
import { systemCodeOf } from '../messaging/durable-files.js';
import type { KnownEnvelope } from '../messaging/message.js';
import { readEnvelope } from '../messaging/read-envelope.js';
import { parseWaitingName } from './maildir-name.js';

/** Whoever wrote a message without saying who. */
export const UNKNOWN_SENDER = 'unknown';

const ID_CHARACTERS = 32;

/** A link is not followed, and a pipe that nobody writes not waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What an open of something that can never be a message says. */
const HOPELESS = new Set(['ELOOP', 'EMLINK', 'EACCES', 'EPERM', 'ENXIO', 'EISDIR', 'ENODEV']);

export interface VolumeMessage {
  readonly envelope: KnownEnvelope;
  readonly sizeBytes: number;
}

/**
 * Reads a whole file. Synchronous, as {@link Maildir.claim} is, and for the same reason.
 * @throws MembraneError `invalid_request`, `payload_too_large`: it never becomes a message; what the file system says,
 * where another try may do better.
 */
export function readMessageFile(path: string, maxBytes: number): Buffer {
  let file: number;
  try {
    file = openSync(path, READ_FLAGS);
  } catch (cause) {
    if (!HOPELESS.has(systemCodeOf(cause) ?? '')) throw cause;
    throw new MembraneError('invalid_request', `it cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new MembraneError('invalid_request', 'it is no file');
    if (stats.size > maxBytes) {
      throw new MembraneError('payload_too_large', `a message must be at most ${maxBytes} bytes`);
    }
    const bytes = Buffer.allocUnsafe(stats.size);
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(file, bytes, length, bytes.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/**
 * The message in a file of `new/`. `ttl_ms` is what is left of it now, `attempt` counts the consumers that were lost with
 * it. One without an id, of an older program, gets the hash of its name, time and content (the time is in its name).
 * @throws MembraneError `invalid_request`; `expired`
 */
export function readVolumeMessage(name: string, bytes: Buffer, nowMs: number): VolumeMessage {
  const { base, losses } = parseWaitingName(name);
  const envelope = readVolumeEnvelope(bytes);
  const id = envelope.id ?? hashId(base, bytes);
  const known: KnownEnvelope = { ...envelope, id };
  if (losses > 0) known.attempt = (envelope.attempt ?? 1) + losses;
  if (envelope.ttl_ms != null) known.ttl_ms = ttlLeftMs(envelope.ttl_ms, envelope.timestamp, nowMs);
  if (known.ttl_ms === 0) {
    throw new MembraneError('expired', 'the deadline of the message passed while it waited in the directory');
  }
  return { envelope: known, sizeBytes: bytes.length };
}

/** @throws MembraneError `invalid_request` that says what is wrong. */
export function readVolumeEnvelope(bytes: Buffer): Envelope {
  return readEnvelope(fromOlder(parseJson(bytes)));
}

/** True for what is all written: nothing that begins an object is JSON before its end. */
export function isWhole(bytes: Buffer): boolean {
  try {
    parseJson(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The envelope as far as it can be read, for people; undefined where it cannot. */
export function tryReadEnvelope(name: string, bytes: Buffer): KnownEnvelope | undefined {
  try {
    const envelope = readVolumeEnvelope(bytes);
    return { ...envelope, id: envelope.id ?? hashId(parseWaitingName(name).base, bytes) };
  } catch (error) {
    if (isMembraneError(error)) return undefined;
    throw error;
  }
}

/** A clock that is behind that of the writer does not lengthen a life. */
function ttlLeftMs(ttlMs: number, writtenAtS: number | null | undefined, nowMs: number): number {
  const waitedMs = writtenAtS == null ? 0 : Math.max(0, nowMs - writtenAtS * 1_000);
  return Math.max(0, Math.floor(ttlMs - waitedMs));
}

function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new MembraneError('invalid_request', 'the message is not UTF-8');
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new MembraneError('invalid_request', `the message is no JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** What older programs leave out, or write otherwise: who they are, and the time as a text. */
function fromOlder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { sender, timestamp } = value as { sender?: unknown; timestamp?: unknown };
  if (sender !== undefined && sender !== null && typeof timestamp !== 'string') return value;
  return { ...value, sender: sender ?? UNKNOWN_SENDER, timestamp: toEpochS(timestamp) };
}

/** Anything but a text, and a text that is no time, is left for its reader to refuse. */
function toEpochS(timestamp: unknown): unknown {
  if (typeof timestamp !== 'string' || timestamp.trim() === '') return timestamp;
  const seconds = Number.isFinite(Number(timestamp)) ? Number(timestamp) : Date.parse(timestamp) / 1_000;
  return Number.isFinite(seconds) ? seconds : timestamp;
}

function hashId(base: string, bytes: Buffer): string {
  return createHash('sha256').update(base).update('\0').update(bytes).digest('hex').slice(0, ID_CHARACTERS);
}
