/** Nodes in the order of their creation: what pages of a list walk along, with changes in between. */
export class CreationOrder {
  #revisions: number[] = [];
  /** Undefined where a node went. */
  #ids: (string | undefined)[] = [];
  #holes = 0;

  /** `revision` must be above all before it. */
  append(revision: number, id: string): void {
    this.#revisions.push(revision);
    this.#ids.push(id);
  }

  remove(revision: number): void {
    const index = this.#indexOf(revision);
    if (this.#revisions[index] !== revision || this.#ids[index] === undefined) return;
    this.#ids[index] = undefined;
    this.#holes += 1;
    if (this.#holes > 1_024 && this.#holes * 2 > this.#ids.length) this.#compact();
  }

  /** Ids created at `revision` or later. */
  *from(revision: number): Iterable<string> {
    for (let index = this.#indexOf(revision); index < this.#ids.length; index += 1) {
      const id = this.#ids[index];
      if (id !== undefined) yield id;
    }
  }

  /** Index of the first entry not below the revision. */
  #indexOf(revision: number): number {
    let low = 0;
    let high = this.#revisions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#revisions[middle] ?? 0) < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compact(): void {
    this.#revisions = this.#revisions.filter((_, index) => this.#ids[index] !== undefined);
    this.#ids = this.#ids.filter((id) => id !== undefined);
    this.#holes = 0;
  }
}
