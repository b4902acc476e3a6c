/**
 * Items by the moment at which each is due: a binary heap that knows where each item is, so that one can be taken
 * out before. The timing wheel of the leases is no place for them: it goes tick by tick, and these are due by the
 * wall clock, which jumps.
 */
export class DeadlineHeap<Item> {
  readonly #entries: { readonly item: Item; readonly atMs: number }[] = [];
  readonly #places = new Map<Item, number>();

  get size(): number {
    return this.#entries.length;
  }

  /** One that is in it already is due then instead. */
  add(item: Item, atMs: number): void {
    this.remove(item);
    this.#entries.push({ item, atMs });
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

  #put(place: number, entry: { readonly item: Item; readonly atMs: number }): void {
    this.#entries[place] = entry;
    this.#places.set(entry.item, place);
  }

  #rise(start: number): void {
    const entry = this.#entries[start];
    let place = start;
    while (entry !== undefined && place > 0) {
      const above = (place - 1) >>> 1;
      const parent = this.#entries[above];
      if (parent === undefined || parent.atMs <= entry.atMs) break;
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
      const earlier = this.#isEarlier(right, left) ? right : left;
      const child = this.#entries[earlier];
      if (child === undefined || child.atMs >= entry.atMs) break;
      this.#put(place, child);
      place = earlier;
      this.#put(place, entry);
    }
  }

  #isEarlier(one: number, other: number): boolean {
    const entry = this.#entries[one];
    return entry !== undefined && entry.atMs < (this.#entries[other]?.atMs ?? Number.POSITIVE_INFINITY);
  }
}
