import { lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isMembraneError, MembraneError } from '@membrane/protocol';
import { isMissing } from '../messaging/durable-files.js';
import type { Maildir } from './maildir.js';
import { boundedName, timePrefix } from './maildir-name.js';
import { readMessageFile, tryReadEnvelope } from './volume-message.js';

/** What older programs put into the directory itself. */
const OLDER_NAME = /^msg_.*\.json$/s;

/** How long a file may stay as it is before nobody waits any more for it to become a message. */
export const BROKEN_AGE_MS = 3_600_000;

export function isOlderName(name: string): boolean {
  return OLDER_NAME.test(name);
}

/**
 * Messages of older programs: `msg_*.json` files of `{sender, timestamp, payload}` in the inbox directory itself. They
 * may be written in place, so that one is taken only when it is whole; then it is renamed into `new/`, to wait among the
 * others by the time of its last change.
 */
export class OlderMessages {
  readonly #maildir: Maildir;
  readonly #maxMessageBytes: number;
  /** As they were when they were found to be no message. */
  #broken = new Map<string, { state: string; fault: MembraneError }>();

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

  async #takeOne(
    name: string,
    known: { state: string; fault: MembraneError } | undefined,
    nowMs: number,
  ): Promise<string | undefined> {
    const path = join(this.#maildir.directory, name);
    const { mtimeMs, size } = await lstat(path);
    const state = `${mtimeMs} ${size}`;
    const fault = known?.state === state ? known.fault : this.#findFault(name, path);
    const waiting = boundedName(`${timePrefix(mtimeMs)}-${name}`);
    if (fault === undefined) {
      await rename(path, join(this.#maildir.waiting, waiting));
      return waiting;
    }
    if (nowMs - mtimeMs > BROKEN_AGE_MS) await this.#maildir.bury({ name: waiting, path }, fault);
    else this.#broken.set(name, { state, fault });
    return undefined;
  }

  #findFault(name: string, path: string): MembraneError | undefined {
    try {
      const bytes = readMessageFile(path, this.#maxMessageBytes);
      if (tryReadEnvelope(name, bytes) !== undefined) return undefined;
      return new MembraneError(
        'invalid_request',
        'it never became a message: an object of JSON with a payload',
      );
    } catch (error) {
      if (isMembraneError(error)) return error;
      throw error;
    }
  }
}
