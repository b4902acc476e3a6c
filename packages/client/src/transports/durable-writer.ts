import fs from 'node:fs';
import { promisify } from 'node:util';
import { DirectorySync } from '../messaging/durable-files.js';

/** What it needs of `node:fs`: tests count the calls, and have them fail. */
export type WriterFiles = Pick<typeof fs, 'open' | 'writeFile' | 'fsync' | 'close' | 'rename' | 'unlink'>;

export interface Placement {
  /** On the same file system; nobody else writes it. */
  readonly temporary: string;
  readonly path: string;
  /** Of the path. */
  readonly directory: string;
}

/** Less what the umask takes away: consumers of another user can read it where the directory lets them in. */
export const SHARED_FILE_MODE = 0o666;

/** By then another directory may have come under the same name. */
const DIRECTORY_AGE_MS = 1_000;

/** A directory for as long as files are placed in it. */
interface OpenDirectory {
  /** Rejects where it cannot be opened. */
  readonly file: Promise<number>;
  readonly sync: DirectorySync;
  readonly openedAtMs: number;
  users: number;
}

/**
 * Has files appear whole and durable. It differs from `placeFile` in that it is for many files a second: calls with
 * callbacks, which take half the time of those with file handles; as few as possible one after the other, since each is a
 * way to another thread and back; and one sync of a directory for all files that were placed in it meanwhile.
 */
export class DurableWriter {
  readonly #files: WriterFiles;
  readonly #open: (path: string, flags: string, mode?: number) => Promise<number>;
  readonly #fsync: (file: number) => Promise<void>;
  readonly #directories = new Map<string, OpenDirectory>();

  constructor(files: WriterFiles = fs) {
    this.#files = files;
    this.#open = promisify(files.open);
    this.#fsync = promisify(files.fsync);
  }

  /**
   * Resolves when the file would survive a loss of power; before its rename nobody sees anything under the path.
   * Rejects with what the file system says: then the file may be there or not.
   */
  async place({ temporary, path, directory }: Placement, content: string): Promise<void> {
    const shared = this.#use(directory);
    try {
      await this.#write(temporary, content);
      await promisify(this.#files.rename)(temporary, path).catch(async (error: unknown) => {
        await this.#discard(temporary);
        throw error;
      });
      await shared.sync.sync();
    } finally {
      this.#release(directory, shared);
    }
  }

  async #write(path: string, content: string): Promise<void> {
    const file = await this.#open(path, 'wx', SHARED_FILE_MODE);
    try {
      await promisify(this.#files.writeFile)(file, content);
      await this.#fsync(file);
    } catch (error) {
      await this.#discard(path);
      throw error;
    } finally {
      this.#close(file);
    }
  }

  async #discard(path: string): Promise<void> {
    await promisify(this.#files.unlink)(path).catch(() => undefined);
  }

  /** Nobody waits for it: what was synced is safe. */
  #close(file: number): void {
    this.#files.close(file, () => undefined);
  }

  /** It is opened while the file is written. */
  #use(directory: string): OpenDirectory {
    const nowMs = performance.now();
    let shared = this.#directories.get(directory);
    if (shared === undefined || nowMs - shared.openedAtMs > DIRECTORY_AGE_MS) {
      const file = this.#open(directory, 'r');
      file.catch(() => undefined);
      const sync = new DirectorySync(directory, async () => this.#fsync(await file));
      shared = { file, sync, openedAtMs: nowMs, users: 0 };
      this.#directories.set(directory, shared);
    }
    shared.users += 1;
    return shared;
  }

  #release(directory: string, shared: OpenDirectory): void {
    shared.users -= 1;
    if (shared.users > 0) return;
    if (this.#directories.get(directory) === shared) this.#directories.delete(directory);
    shared.file.then(
      (file) => {
        this.#close(file);
      },
      () => undefined,
    );
  }
}
