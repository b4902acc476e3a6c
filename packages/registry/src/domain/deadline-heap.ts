interface Entry<Item> {
  readonly item: Item;
  readonly atMs: number;
  /** Of those that are due at once the first one added goes first. */
  readonly order: number;
}

/**
 * Items by the moment at which each is due: a binary heap that knows where each item is, so that one can be taken
 * out before. The timing wheel of the leases is no place for them: it goes tick by tick, and these are due by the
 * wall clock, which jumps.
 */
export class DeadlineHeap<Item> {
  readonly #entries: Entry<Item>[] = [];
  readonly #places = new Map<Item, number>();
  #added = 0;

  get size(): number {
    return this.#entries.length;
  }

  /** One that is in it already is due then instead. */
  add(item: Item, atMs: number): void {
    this.remove(item);
    this.#added += 1;
    this.#entries.push({ item, atMs, order: this.#added });
    this.#places.set(item, this.#entries.length - 1);
    this.#rise(this.#entries.length - 1);
  }

  remove(item: Item): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const last = this.#entries.pop();
    if (last === undefined || last.item === item) return;
    this.#put(place, last);
    this.#rise(place);
    this.#sink(this.#places.get(last.item) ?? place);
  }

  /** Takes out those that are due, the earliest first, at most `limit`. */
  takeDue(nowMs: number, limit: number): Item[] {
    const due: Item[] = [];
    for (let first = this.#entries[0]; first !== undefined && due.length < limit; first = this.#entries[0]) {
      if (first.atMs > nowMs) break;
      due.push(first.item);
      this.remove(first.item);
    }
    return due;
  }

  #put(place: number, entry: Entry<Item>): void {
    this.#entries[place] = entry;
    this.#places.set(entry.item, place);
  }

  #rise(start: number): void {
    const entry = this.#entries[start];
    let place = start;
    while (entry !== undefined && place > 0) {
      const above = (place - 1) >>> 1;
      const parent = this.#entries[above];
      if (parent === undefined || !isEarlier(entry, parent)) break;
      this.#put(place, parent);
      place = above;
      this.#put(place, entry);
    }
  }

  #sink(start: number): void {
    const entry = this.#entries[start];
    let place = start;
    while (entry !== undefined) {
      const left = 2 * place + 1;
      const right = left + 1;
      const earlier = isEarlier(this.#entries[right], this.#entries[left]) ? right : left;
      const child = this.#entries[earlier];
      if (!isEarlier(child, entry)) break;
      this.#put(place, child);
      place = earlier;
      this.#put(place, entry);
    }
  }
}

function isEarlier<Item>(one: Entry<Item> | undefined, other: Entry<Item> | undefined): one is Entry<Item> {
  if (one === undefined || other === undefined) return false;
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
