import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { MembraneError } from '@membrane/protocol';
import type { DeadLetterInfo } from './dead-letters.js';
import { DirectorySync, guardFiles, isMissing, placeFile } from './durable-files.js';
import { parseEntry, parseFileName, type OutboxEntry } from './outbox-entry.js';

export interface DeadEntry {
  readonly name: string;
  readonly info: DeadLetterInfo;
  /** Undefined where it cannot be read. */
  readonly entry: OutboxEntry | undefined;
}

const CAUSE_SUFFIX = '.cause';

/** What failed for good, each with a file that says why; the newest so many are kept. */
export class OutboxDeadDirectory {
  readonly #directory: string;
  readonly #temporary: string;
  readonly #maxLetters: number;
  readonly #sync: DirectorySync;
  /** In the order in which they came. */
  readonly #names: Set<string>;

  private constructor(directory: string, temporary: string, maxLetters: number, names: readonly string[]) {
    this.#directory = directory;
    this.#temporary = temporary;
    this.#maxLetters = maxLetters;
    this.#sync = new DirectorySync(directory);
    this.#names = new Set(names);
  }

  static async open(
    directory: string,
    { temporary, maxLetters }: { temporary: string; maxLetters: number },
  ): Promise<OutboxDeadDirectory> {
    const found = await readdir(directory);
    const names = new Set(found.filter((name) => !name.endsWith(CAUSE_SUFFIX)));
    const causes = found.filter((name) => name.endsWith(CAUSE_SUFFIX));
    // The process ended between the two files.
    const orphans = causes.filter((name) => !names.has(name.slice(0, -CAUSE_SUFFIX.length)));
    await Promise.all(orphans.map((name) => rm(join(directory, name), { force: true })));
    return new OutboxDeadDirectory(directory, temporary, maxLetters, [...names].sort());
  }

  /** Names of the files. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  /** Moves a message here. Its cause is written first, and may be missing where the disk is full. */
  async take(path: string, name: string, { code, message }: MembraneError): Promise<void> {
    const cause = JSON.stringify({ code, reason: message, died_at_ms: Date.now() });
    const causePath = join(this.#directory, name + CAUSE_SUFFIX);
    await placeFile(causePath, join(this.#temporary, name + CAUSE_SUFFIX), cause).catch(() => undefined);
    await rename(path, join(this.#directory, name));
    this.#names.add(name);
    const tooMany = this.names.slice(0, Math.max(0, this.#names.size - this.#maxLetters));
    await Promise.all(tooMany.map((each) => this.remove(each)));
    await this.#sync.sync();
  }

  /**
   * Undefined where it is gone meanwhile.
   * @throws MembraneError `store_unavailable`
   */
  async read(name: string): Promise<DeadEntry | undefined> {
    const content = await this.#guard(async () => {
      try {
        return await readFile(join(this.#directory, name), 'utf8');
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
    if (content === undefined) return undefined;
    const cause = await readFile(join(this.#directory, name + CAUSE_SUFFIX), 'utf8').catch(() => '');
    const entry = attempt(() => parseEntry(content));
    const { code, reason, died_at_ms: diedAtMs } = attempt(() => JSON.parse(cause) as Cause) ?? {};
    return {
      name,
      entry,
      info: {
        place: 'outbox',
        messageId: parseFileName(name)?.messageId ?? name,
        code: code ?? 'internal_error',
        reason: reason ?? 'nobody could write down why',
        diedAtMs: diedAtMs ?? entry?.deadlineAtMs ?? 0,
        envelope: entry?.envelope,
      },
    };
  }

  /**
   * @returns false where it was gone
   * @throws MembraneError `store_unavailable`
   */
  async remove(name: string): Promise<boolean> {
    if (!this.#names.delete(name)) return false;
    await this.#guard(() => rm(join(this.#directory, name), { force: true }));
    await rm(join(this.#directory, name + CAUSE_SUFFIX), { force: true }).catch(() => undefined);
    return true;
  }

  #guard<Value>(work: () => Promise<Value>): Promise<Value> {
    return guardFiles(`the outbox ${dirname(this.#directory)}`, work);
  }
}

interface Cause {
  code?: string;
  reason?: string;
  died_at_ms?: number;
}

function attempt<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
