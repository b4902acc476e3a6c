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
const FILE_MODE = 0o666;

/**
 * Has files appear whole and durable. It differs from `placeFile` in that it is for many files a second: calls with
 * callbacks, which take half the time of those with file handles, and one sync of a directory for all files that were
 * placed in it meanwhile.
 */
export class DurableWriter {
  readonly #files: WriterFiles;
  readonly #open: (path: string, flags: string, mode?: number) => Promise<number>;
  readonly #syncs = new Map<string, { sync: DirectorySync; users: number }>();

  constructor(files: WriterFiles = fs) {
    this.#files = files;
    this.#open = promisify(files.open);
  }

  /**
   * Resolves when the file would survive a loss of power; before its rename nobody sees anything under the path.
   * Rejects with what the file system says: then the file may be there or not.
   */
  async place({ temporary, path, directory }: Placement, content: string): Promise<void> {
    try {
      await this.#write(temporary, content);
      await promisify(this.#files.rename)(temporary, path);
    } catch (error) {
      await promisify(this.#files.unlink)(temporary).catch(() => undefined);
      throw error;
    }
    await this.#syncDirectory(directory);
  }

  async #write(path: string, content: string): Promise<void> {
    const file = await this.#open(path, 'wx', FILE_MODE);
    try {
      await promisify(this.#files.writeFile)(file, content);
      await promisify(this.#files.fsync)(file);
    } finally {
      await promisify(this.#files.close)(file);
    }
  }

  async #syncDirectory(directory: string): Promise<void> {
    let shared = this.#syncs.get(directory);
    if (shared === undefined) {
      shared = { sync: new DirectorySync(directory, (path) => this.#syncNow(path)), users: 0 };
      this.#syncs.set(directory, shared);
    }
    shared.users += 1;
    try {
      await shared.sync.sync();
    } finally {
      shared.users -= 1;
      if (shared.users === 0) this.#syncs.delete(directory);
    }
  }

  async #syncNow(directory: string): Promise<void> {
    const file = await this.#open(directory, 'r');
    try {
      await promisify(this.#files.fsync)(file);
    } finally {
      await promisify(this.#files.close)(file);
    }
  }
}
