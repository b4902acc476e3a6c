/** Which messages wait behind one that was refused. */
export type RefusalKey = string;

/** Names of refused messages that are remembered: beyond it nothing more is looked at until some were taken. */
const MAX_REFUSED = 100_000;

/**
 * The names of the files in `new/`, as far as they are known. Those that the taker refused wait in lines, one for each
 * kind of message: none is read again and again, and one that finds its handler need not wait for one that does not.
 */
export class WaitingFiles {
  readonly #maxFresh: number;
  #fresh: string[] = [];
  /** Of those in `#fresh` that were taken out. */
  #position = 0;
  #isPartial = false;
  /** Those that were hinted at while the directory is listed: the list may have been past them. */
  #meanwhile: string[] | undefined;
  readonly #lines = new Map<RefusalKey, string[]>();
  readonly #refused = new Set<string>();
  /** Those that were just claimed: the directory tells of each that leaves it, too. */
  readonly #leaving = new Set<string>();

  constructor(maxFresh: number) {
    this.#maxFresh = maxFresh;
  }

  /** True where the directory holds more than could be remembered: it must be listed again. */
  get isPartial(): boolean {
    return this.#isPartial;
  }

  /** The directory changed at this name: it may have come, or gone. */
  hint(name: string): void {
    // Older ones may be there that are not known.
    if (this.#leaving.delete(name) || this.#refused.has(name)) return;
    if (this.#meanwhile !== undefined && this.#meanwhile.length < this.#maxFresh) this.#meanwhile.push(name);
    if (this.#isPartial) return;
    if (this.#fresh.length - this.#position >= this.#maxFresh) {
      this.#isPartial = true;
      return;
    }
    const last = this.#fresh.at(-1);
    this.#fresh.push(name);
    if (last === undefined || last < name) return;
    this.#fresh = this.#fresh.slice(this.#position).sort();
    this.#position = 0;
  }

  beginList(): void {
    this.#meanwhile = [];
  }

  /** What waits, in order, without those that were refused. */
  endList(names: string[], isPartial: boolean): void {
    const last = isPartial ? names.at(-1) : undefined;
    const meanwhile = (this.#meanwhile ?? []).filter((name) => last === undefined || name < last);
    this.#meanwhile = undefined;
    this.#fresh = meanwhile.length === 0 ? names : [...new Set([...names, ...meanwhile])].sort();
    this.#position = 0;
    this.#isPartial = isPartial;
    this.#leaving.clear();
  }

  isRefused(name: string): boolean {
    return this.#refused.has(name);
  }

  /** The first that nobody looked at. */
  nextFresh(): string | undefined {
    if (this.#refused.size >= MAX_REFUSED) return undefined;
    const name = this.#fresh[this.#position];
    if (name !== undefined) this.#position += 1;
    else if (this.#position > 0) {
      this.#fresh = [];
      this.#position = 0;
    }
    return name;
  }

  /** It was claimed, and stays so. */
  left(name: string): void {
    this.#leaving.add(name);
  }

  refuse(name: string, key: RefusalKey): void {
    this.#refused.add(name);
    const line = this.#lines.get(key);
    if (line === undefined) {
      this.#lines.set(key, [name]);
      return;
    }
    const last = line.at(-1) ?? '';
    line.push(name);
    if (last > name) line.sort();
  }

  hasLine(key: RefusalKey): boolean {
    return this.#lines.has(key);
  }

  /** Some of the lines: those that were asked for the longest time ago. */
  nextLines(limit: number): RefusalKey[] {
    const keys = [...this.#lines.keys()].slice(0, limit);
    for (const key of keys) {
      const line = this.#lines.get(key) ?? [];
      this.#lines.delete(key);
      this.#lines.set(key, line);
    }
    return keys;
  }

  firstOf(key: RefusalKey): string | undefined {
    return this.#lines.get(key)?.[0];
  }

  /** The first of a line is refused no more. */
  leaveLine(key: RefusalKey): void {
    const line = this.#lines.get(key) ?? [];
    const name = line.shift();
    if (name !== undefined) this.#refused.delete(name);
    if (line.length === 0) this.#lines.delete(key);
  }
}
