import { lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isMembraneError, type MembraneError } from '@membrane/protocol';
import { isMissing } from '../messaging/durable-files.js';
import type { Maildir } from './maildir.js';
import { boundedName, timePrefix } from './maildir-name.js';
import { isWhole, readMessageFile, readVolumeEnvelope } from './volume-message.js';

/** What older programs put into the directory itself. */
const OLDER_NAME = /^msg_.*\.json$/s;

/** How long a file may stay as it is before nobody waits any more for it to become a message. */
export const BROKEN_AGE_MS = 3_600_000;

interface BrokenFile {
  /** As it was when it was looked at. */
  readonly state: string;
  readonly fault: MembraneError;
  /** No more writing makes it a message. */
  readonly isFinal: boolean;
}

export function isOlderName(name: string): boolean {
  return OLDER_NAME.test(name);
}

/**
 * Messages of older programs: `msg_*.json` files of `{sender, timestamp, payload}` in the inbox directory itself. They
 * may be written in place, so that one is taken only when it is whole; then it is renamed into `new/`, to wait among the
 * others by the time of its last change. One that is whole and no message is a dead letter at once; one that is not whole
 * may become a message for an hour.
 */
export class OlderMessages {
  readonly #maildir: Maildir;
  readonly #maxMessageBytes: number;
  /** Those that may become messages yet. */
  #broken = new Map<string, BrokenFile>();

  constructor(maildir: Maildir, maxMessageBytes: number) {
    this.#maildir = maildir;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /**
   * @returns the names in `new/` of those that were taken, in order; rejects with what the file system says of the first
   * that it could not take, when it is through with all others
   */
  async take(nowMs = Date.now()): Promise<string[]> {
    const names = (await readdir(this.#maildir.directory)).filter(isOlderName);
    const taken: string[] = [];
    const troubles: unknown[] = [];
    const broken = this.#broken;
    this.#broken = new Map();
    for (const name of names) {
      try {
        const waiting = await this.#takeOne(name, broken.get(name), nowMs);
        if (waiting !== undefined) taken.push(waiting);
      } catch (error) {
        // Another consumer took it.
        if (!isMissing(error)) troubles.push(error);
      }
    }
    if (troubles.length > 0) throw troubles[0];
    return taken.sort();
  }

  async #takeOne(name: string, known: BrokenFile | undefined, nowMs: number): Promise<string | undefined> {
    const path = join(this.#maildir.directory, name);
    const { mtimeMs, size } = await lstat(path);
    const state = `${mtimeMs} ${size}`;
    const found = known?.state === state ? known : this.#findFault(path);
    const waiting = boundedName(`${timePrefix(mtimeMs)}-${name}`);
    if (found === undefined) {
      await rename(path, join(this.#maildir.waiting, waiting));
      return waiting;
    }
    const { fault, isFinal } = found;
    if (isFinal || nowMs - mtimeMs > BROKEN_AGE_MS) await this.#maildir.bury({ name: waiting, path }, fault);
    else this.#broken.set(name, { state, fault, isFinal });
    return undefined;
  }

  #findFault(path: string): Omit<BrokenFile, 'state'> | undefined {
    let isFinal = false;
    try {
      const bytes = readMessageFile(path, this.#maxMessageBytes);
      isFinal = isWhole(bytes);
      readVolumeEnvelope(bytes);
      return undefined;
    } catch (error) {
      if (!isMembraneError(error)) throw error;
      return { fault: error, isFinal };
    }
  }
}
