import { shardOf, SHARDS } from './shard.js';

/** Up to here one `Map` does. */
const MAX_UNSHARDED = 32_768;

/**
 * A map by text that stalls nobody: a `Map` that grows is built anew at once, which takes 350 ms at a million entries.
 * So what is large is spread over many that each stay small. What is small is one `Map`, in the order of its keys'
 * arrival; what is large has no order.
 */
export class ShardedMap<Value> {
  /** One, or `SHARDS`. */
  #shards: Map<string, Value>[] = [new Map<string, Value>()];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    return this.#mapOf(key).get(key);
  }

  has(key: string): boolean {
    return this.#mapOf(key).has(key);
  }

  set(key: string, value: Value): void {
    const map = this.#mapOf(key);
    const before = map.size;
    map.set(key, value);
    this.#size += map.size - before;
    if (this.#size > MAX_UNSHARDED && this.#shards.length === 1) this.#spread();
  }

  delete(key: string): boolean {
    const isDeleted = this.#mapOf(key).delete(key);
    if (isDeleted) this.#size -= 1;
    return isDeleted;
  }

  *values(): Iterable<Value> {
    for (const map of this.#shards) yield* map.values();
  }

  *keys(): Iterable<string> {
    for (const map of this.#shards) yield* map.keys();
  }

  #mapOf(key: string): Map<string, Value> {
    const map = this.#shards[this.#shards.length === 1 ? 0 : shardOf(key)];
    if (map === undefined) throw new RangeError('no such shard');
    return map;
  }

  #spread(): void {
    const [all] = this.#shards;
    this.#shards = Array.from({ length: SHARDS }, () => new Map<string, Value>());
    for (const [key, value] of all ?? []) this.#mapOf(key).set(key, value);
  }
}
