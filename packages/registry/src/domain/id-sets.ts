import { shardOf, SHARDS } from './shard.js';
import { ShardedMap } from './sharded-map.js';

/** Up to here one `Set` does, in the order of arrival. */
const MAX_UNSHARDED = 32_768;

/** Ids without order. See `ShardedMap` for why there is more than one set. */
class ShardedSet implements Iterable<string> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Set<string>());
  #size = 0;

  constructor(ids: Iterable<string>) {
    for (const id of ids) this.add(id);
  }

  get size(): number {
    return this.#size;
  }

  add(id: string): void {
    const shard = this.#shards[shardOf(id)];
    if (shard === undefined || shard.has(id)) return;
    shard.add(id);
    this.#size += 1;
  }

  delete(id: string): void {
    if (this.#shards[shardOf(id)]?.delete(id) === true) this.#size -= 1;
  }

  *[Symbol.iterator](): Iterator<string> {
    for (const shard of this.#shards) yield* shard;
  }
}

export type Ids = Iterable<string> & { readonly size: number };

export const NO_IDS: Ids = new Set();

/** For each key a set of ids, however many: a key without any takes no room. */
export class IdSets {
  readonly #sets = new ShardedMap<Set<string> | ShardedSet>();

  get(key: string): Ids {
    return this.#sets.get(key) ?? NO_IDS;
  }

  has(key: string): boolean {
    return this.#sets.has(key);
  }

  add(key: string, id: string): void {
    const ids = this.#sets.get(key);
    if (ids === undefined) this.#sets.set(key, new Set([id]));
    else ids.add(id);
    if (ids instanceof Set && ids.size > MAX_UNSHARDED) this.#sets.set(key, new ShardedSet(ids));
  }

  remove(key: string, id: string): void {
    const ids = this.#sets.get(key);
    ids?.delete(id);
    if (ids?.size === 0) this.#sets.delete(key);
  }
}
