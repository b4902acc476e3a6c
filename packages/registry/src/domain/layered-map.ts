import type { OrderedView } from './mail.js';

/** A map with changes laid over it, which it does not see. New keys go last, also those that were deleted before. */
export class LayeredMap<Key, Value> implements OrderedView<Key, Value> {
  readonly #base: OrderedView<Key, Value>;
  readonly #keyOf: (value: Value) => Key;
  readonly #added = new Map<Key, Value>();
  readonly #removed = new Set<Key>();

  constructor(base: OrderedView<Key, Value>, keyOf: (value: Value) => Key) {
    this.#base = base;
    this.#keyOf = keyOf;
  }

  get size(): number {
    return this.#base.size - this.#removed.size + this.#added.size;
  }

  get(key: Key): Value | undefined {
    return this.#added.get(key) ?? (this.#removed.has(key) ? undefined : this.#base.get(key));
  }

  has(key: Key): boolean {
    return this.#added.has(key) || (!this.#removed.has(key) && this.#base.has(key));
  }

  *values(): Iterable<Value> {
    for (const value of this.#base.values()) if (!this.#removed.has(this.#keyOf(value))) yield value;
    yield* this.#added.values();
  }

  set(key: Key, value: Value): void {
    this.delete(key);
    this.#added.set(key, value);
  }

  delete(key: Key): void {
    if (!this.#added.delete(key) && this.#base.has(key)) this.#removed.add(key);
  }
}
