import { renameSync } from 'node:fs';
import { lstat, opendir, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { MembraneError } from '@membrane/protocol';
import { isMissing, makeDirectory, placeFile } from '../messaging/durable-files.js';
import { SHARED_FILE_MODE } from './durable-writer.js';
import { claimedName, parseWaitingName } from './maildir-name.js';

/** The file beside a dead letter that says why. */
export const CAUSE_SUFFIX = '.cause';

/** What was begun and not finished for so long never will be. Source: https://cr.yp.to/proto/maildir.html */
export const TEMPORARY_AGE_MS = 36 * 3_600_000;

const ENTRIES_AT_ONCE = 1_024;

/** A message in the hands of a consumer. */
export interface ClaimedFile {
  /** Of the file in `new/`. */
  readonly name: string;
  /** In `cur/`. */
  readonly path: string;
}

/**
 * The directory of an inbox. `tmp/`: what is being written. `new/`: what waits. `cur/`: what a consumer has claimed, each
 * file with its claimant in the name. `dead/`: what failed for good, each with a file that says why. Directories and
 * files have the modes that the umask leaves: who shares a volume between users lets them write by a group or an ACL.
 */
export class Maildir {
  readonly directory: string;
  readonly temporary: string;
  readonly waiting: string;
  readonly claimed: string;
  readonly dead: string;

  constructor(directory: string) {
    this.directory = directory;
    this.temporary = join(directory, 'tmp');
    this.waiting = join(directory, 'new');
    this.claimed = join(directory, 'cur');
    this.dead = join(directory, 'dead');
  }

  /** Makes what is missing; `new/` comes last, since senders take it for a sign that the others are there. */
  async make(): Promise<void> {
    for (const directory of [this.temporary, this.claimed, this.dead, this.waiting]) {
      await makeDirectory(directory);
    }
  }

  /** Names of what waits and is chosen, in order: the first so many, and whether there are more. */
  async list(
    limit: number,
    isChosen: (name: string) => boolean,
  ): Promise<{ names: string[]; isPartial: boolean }> {
    let names: string[] = [];
    let isPartial = false;
    for await (const { name } of await opendir(this.waiting, { bufferSize: ENTRIES_AT_ONCE })) {
      if (name.startsWith('.') || !isChosen(name)) continue;
      names.push(name);
      if (names.length < 2 * limit) continue;
      names = names.sort().slice(0, limit);
      isPartial = true;
    }
    names.sort();
    isPartial ||= names.length > limit;
    return { names: names.slice(0, limit), isPartial };
  }

  /**
   * Takes a message, which no other consumer can take from then on. Synchronous: the call takes a few microseconds, and a
   * way through the threads of Node many times as long.
   * @returns undefined where another one was faster
   */
  claim(name: string, claimant: string): ClaimedFile | undefined {
    const path = join(this.claimed, claimedName(name, claimant));
    return attemptRename(join(this.waiting, name), path) ? { name, path } : undefined;
  }

  /** Puts a message back in its place. */
  giveBack({ name, path }: ClaimedFile): void {
    attemptRename(path, join(this.waiting, name));
  }

  async remove({ path }: ClaimedFile): Promise<void> {
    await unlink(path).catch(ignoreMissing);
  }

  /** Puts a message among the dead letters. The cause is written first, and may be missing where the disk is full. */
  async bury({ name, path }: ClaimedFile, { code, message }: MembraneError): Promise<void> {
    const deadName = toDeadName(parseWaitingName(name).base);
    const causeName = deadName + CAUSE_SUFFIX;
    const cause = JSON.stringify({ code, reason: message, died_at_ms: Date.now() });
    await placeFile(
      join(this.dead, causeName),
      join(this.temporary, `${causeName}.${process.pid}`),
      cause,
      SHARED_FILE_MODE,
    ).catch(() => undefined);
    await rename(path, join(this.dead, deadName)).catch(ignoreMissing);
  }

  /** Removes what senders left behind that ended while they wrote. A directory is none of that. */
  async sweepTemporary(nowMs = Date.now()): Promise<void> {
    await forEach(await readdir(this.temporary), async (name) => {
      const path = join(this.temporary, name);
      const stats = await lstat(path);
      if (!stats.isDirectory() && nowMs - stats.mtimeMs > TEMPORARY_AGE_MS) await rm(path, { force: true });
    });
  }

  /** Removes the oldest dead letters beyond a number. */
  async trimDead(max: number): Promise<void> {
    const names = (await readdir(this.dead)).filter((name) => !name.endsWith(CAUSE_SUFFIX)).sort();
    await forEach(names.slice(0, Math.max(0, names.length - max)), (name) => this.discardDead(name));
  }

  /** Removes a dead letter, be it a directory that somebody put among the messages. */
  async discardDead(name: string): Promise<void> {
    await rm(join(this.dead, name), { force: true, recursive: true });
    await rm(join(this.dead, name + CAUSE_SUFFIX), { force: true });
  }
}

/** One that is named like a cause would be taken for it. */
function toDeadName(base: string): string {
  return base.endsWith(CAUSE_SUFFIX) ? `${base}.json` : base;
}

/** Goes through all of them, then rejects with what the file system said of the first that it refused. */
async function forEach(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  const troubles: unknown[] = [];
  for (const name of names) {
    await work(name).catch((error: unknown) => {
      // Another consumer was faster.
      if (!isMissing(error)) troubles.push(error);
    });
  }
  if (troubles.length > 0) throw troubles[0];
}

/** False where there is nothing to rename. */
function attemptRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
