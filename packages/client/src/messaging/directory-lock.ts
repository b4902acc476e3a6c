import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembraneError } from '@membrane/protocol';
import { systemClock, type Clock, type Timer } from '../clock.js';
import { isMissing, systemCodeOf } from './durable-files.js';
import { livenessOf, ownIdentity, toProcessIdentity } from './process-identity.js';

/** How often a holder shows that it lives. */
const BEAT_MS = 2_000;

/** A holder that cannot be seen from here, and shows no sign of life for so long, is dead. */
const SILENCE_MS = 4 * BEAT_MS;

const LOOK_MS = 100;

export interface DirectoryLockOptions {
  /** For the files of the lock alone. Made where there is none. */
  readonly directory: string;
  /** What is locked, in words. */
  readonly what: string;
  /** Somebody else took it: this process was stopped for so long that it seemed dead. */
  readonly onLost: () => void;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
  readonly silenceMs?: number;
}

interface Generation {
  readonly number: number;
  readonly path: string;
}

/**
 * Held by one process at a time, and free again when that dies, however it does. Each holder makes a file of the next
 * number (which only one can make); the highest counts. So nobody ever removes the file of a living holder by mistake,
 * as those do who replace one file.
 */
export class DirectoryLock {
  readonly #options: DirectoryLockOptions;
  readonly #clock: Clock;
  readonly #own: Generation;
  readonly #content: string;
  #beat: Timer | undefined;
  #isHeld = true;

  private constructor(options: DirectoryLockOptions, own: Generation, content: string) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#own = own;
    this.#content = content;
    this.#awaitBeat();
  }

  /**
   * Takes up to 8 s where the last holder was in another container or on another host, and left no word.
   * @throws MembraneError `conflict` where another process, or another part of this one, holds it; the reason of the
   * signal; what the file system says.
   */
  static async acquire(options: DirectoryLockOptions): Promise<DirectoryLock> {
    const { directory, signal } = options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const content = JSON.stringify({ ...ownIdentity(), token: randomUUID() });
    for (;;) {
      signal?.throwIfAborted();
      const top = (await generationsIn(directory)).at(-1);
      if (top !== undefined && !(await isFree(top, options))) continue;
      const own = generation(directory, (top?.number ?? 0) + 1);
      try {
        await writeFile(own.path, content, { flag: 'wx', mode: 0o600 });
      } catch (error) {
        if (systemCodeOf(error) === 'EEXIST') continue;
        throw error;
      }
      const all = await generationsIn(directory);
      // Between the look and the file, others may have come, gone, and removed what would have been in the way.
      const isOwn = all.at(-1)?.number === own.number;
      const old = isOwn ? all.slice(0, -1) : [own];
      await Promise.all(old.map(({ path }) => rm(path, { force: true })));
      if (isOwn) return new DirectoryLock(options, own, content);
    }
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  async release(): Promise<void> {
    this.#beat?.cancel();
    if (!this.#isHeld) return;
    this.#isHeld = false;
    // The number must not be used again.
    if (await this.#isOwn().catch(() => false)) await writeFile(this.#own.path, RELEASED);
  }

  #awaitBeat(): void {
    this.#beat = this.#clock.setTimer(() => void this.#showLife(), BEAT_MS);
  }

  async #showLife(): Promise<void> {
    const isOwn = await this.#isOwn().catch(() => true);
    if (!this.#isHeld) return;
    if (isOwn) {
      const now = new Date();
      await utimes(this.#own.path, now, now).catch(() => undefined);
      // It may have been released meanwhile.
      if (this.isHeld) this.#awaitBeat();
    } else {
      this.#isHeld = false;
      this.#options.onLost();
    }
  }

  async #isOwn(): Promise<boolean> {
    const top = (await generationsIn(this.#options.directory)).at(-1);
    if (top?.number !== this.#own.number) return false;
    return (await readFile(top.path, 'utf8')) === this.#content;
  }
}

const RELEASED = '{}';

function generation(directory: string, number: number): Generation {
  return { number, path: join(directory, `${number}.json`) };
}

/** The highest last. */
async function generationsIn(directory: string): Promise<Generation[]> {
  const numbers = (await readdir(directory)).map((name) => /^([1-9]\d{0,14})\.json$/.exec(name)?.[1]);
  return numbers
    .filter((number) => number !== undefined)
    .map((number) => generation(directory, Number(number)))
    .sort((left, right) => left.number - right.number);
}

/** Waits until that is clear. False where somebody does something, and all is to be looked at again. */
async function isFree(
  { path }: Generation,
  { what, signal, silenceMs = SILENCE_MS }: DirectoryLockOptions,
): Promise<boolean> {
  const first = await look(path);
  if (first === undefined) return false;
  if (first.content === RELEASED) return true;
  const holder = parse(first.content);
  const liveness = holder === undefined ? 'unknown' : livenessOf(holder);
  const taken = new MembraneError(
    'conflict',
    `${what} is in use by ${holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`}`,
  );
  if (liveness === 'alive') throw taken;
  if (liveness === 'dead') return true;
  const endMs = performance.now() + silenceMs;
  while (performance.now() < endMs) {
    await sleep(LOOK_MS);
    signal?.throwIfAborted();
    const now = await look(path);
    if (now?.content !== first.content) return false;
    if (now.touchedAtMs !== first.touchedAtMs) throw taken;
  }
  return true;
}

/** Undefined where it is gone. */
async function look(path: string): Promise<{ content: string; touchedAtMs: number } | undefined> {
  try {
    return { content: await readFile(path, 'utf8'), touchedAtMs: (await stat(path)).mtimeMs };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Undefined for one that is not written yet, or was never finished. */
function parse(content: string) {
  try {
    return toProcessIdentity(JSON.parse(content));
  } catch {
    return undefined;
  }
}
