import { watch, type FSWatcher } from 'node:fs';
import { isOlderName } from './older-messages.js';
import type { Maildir } from './maildir.js';

export interface DirectoryHints {
  /** Something happened to that name in `new/`; undefined where the system does not say to which. */
  readonly onWaiting: (name: string | undefined) => void;
  /** Something happened to a message of an older program. */
  readonly onOlder: () => void;
}

/**
 * Hints that something came. They may be late, lost, or never come at all (a network file system, too many watches of
 * this user): who uses them looks by itself, too.
 */
export class DirectoryWatch {
  readonly #maildir: Maildir;
  readonly #hints: DirectoryHints;
  #watchers: FSWatcher[] = [];

  constructor(maildir: Maildir, hints: DirectoryHints) {
    this.#maildir = maildir;
    this.#hints = hints;
  }

  get isOpen(): boolean {
    return this.#watchers.length > 0;
  }

  /** Where the system gives no watch there is none. */
  open(): void {
    this.close();
    const { waiting, directory } = this.#maildir;
    try {
      this.#add(waiting, (name) => {
        if (name?.startsWith('.') !== true) this.#hints.onWaiting(name);
      });
      this.#add(directory, (name) => {
        if (name === undefined || isOlderName(name)) this.#hints.onOlder();
        // Made anew, perhaps: the watch is on the one that was there before.
        else if (name === 'new') this.close();
      });
    } catch {
      this.close();
    }
  }

  close(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #add(directory: string, onHint: (name: string | undefined) => void): void {
    const watcher = watch(directory, { persistent: false }, (_, name) => {
      onHint(name ?? undefined);
    });
    watcher.on('error', () => {
      this.close();
    });
    this.#watchers.push(watcher);
  }
}
