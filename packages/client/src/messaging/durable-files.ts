import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { MembraneError } from '@membrane/protocol';

/** Has the names in a directory survive a loss of power. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whom a parent does not let read it, and disks that sync no directory: then the names are as safe as they can be. */
const UNSYNCABLE = new Set(['EACCES', 'EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP']);

/**
 * Makes what is missing of a directory and of those above it, and has the new names survive a loss of power: what is
 * durable in a directory is lost with its name.
 */
export async function makeDirectory(
  directory: string,
  { mode, sync = syncDirectory }: { mode?: number | undefined; sync?: typeof syncDirectory } = {},
): Promise<void> {
  const first = await mkdir(directory, { recursive: true, ...(mode === undefined ? {} : { mode }) });
  if (first === undefined) return;
  for (let made = resolve(directory), isFirst = false; !isFirst; made = dirname(made)) {
    isFirst = made === resolve(first) || made === dirname(made);
    await sync(dirname(made)).catch((error: unknown) => {
      if (!UNSYNCABLE.has(systemCodeOf(error) ?? '')) throw error;
    });
  }
}

/** Callers that come while a sync is under way share the next one, which covers what they did before. */
export class DirectorySync {
  readonly #directory: string;
  readonly #work: (directory: string) => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(directory: string, work = syncDirectory) {
    this.#directory = directory;
    this.#work = work;
  }

  /** Resolves when every name that was set before the call is durable. */
  sync(): Promise<void> {
    if (this.#running === undefined) {
      const running = this.#work(this.#directory).finally(() => (this.#running = undefined));
      return (this.#running = running);
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.sync();
      });
    return this.#next;
  }
}

/**
 * Has a file appear whole under its name; it survives a loss of power once its directory was synced.
 * @param temporary a path on the same file system, that nobody else writes
 * @param mode less what the umask takes away
 */
export async function placeFile(
  path: string,
  temporary: string,
  content: string,
  mode = 0o600,
): Promise<void> {
  try {
    const handle = await open(temporary, 'w', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Replaces a small file, durably, before it returns. */
export function replaceFileSync(path: string, temporary: string, content: string): void {
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** As `ENOSPC`; undefined for other errors. They are not always of the `Error` of this module: Node makes them. */
export function systemCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('syscall' in error && 'code' in error))
    return undefined;
  return String(error.code);
}

export function isMissing(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}

/**
 * @param what the files are, for people
 * @throws MembraneError `store_unavailable` in place of what the file system says; whatever else the work throws.
 */
export async function guardFiles<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw toStoreError(what, error);
  }
}

export function toStoreError(what: string, error: unknown): unknown {
  if (systemCodeOf(error) === undefined) return error;
  const { message } = error as Error;
  return new MembraneError('store_unavailable', `${what} cannot be used: ${message}`, { cause: error });
}
