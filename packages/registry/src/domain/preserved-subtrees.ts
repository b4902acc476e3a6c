/** An id with everything below it; `TOP`: the whole namespace. */
export interface Subtree {
  readonly namespace: string;
  readonly id: string;
}

/** A subtree in which leases are kept. It stays one until its end is decided, whatever its numbers are meanwhile. */
export interface PreservedSubtree extends Subtree {
  /** Wall clock, epoch milliseconds. */
  readonly sinceMs: number;
}

/** A subtree is preserved from now on, or (`sinceMs` null) no more. */
export interface PreservationChange extends Subtree {
  readonly sinceMs: number | null;
}

const keyOf = ({ namespace, id }: Subtree): string => `${namespace}/${id}`;

/** The subtrees that are preserved. */
export class PreservedSubtrees implements Iterable<PreservedSubtree> {
  readonly #subtrees = new Map<string, PreservedSubtree>();

  get size(): number {
    return this.#subtrees.size;
  }

  has(subtree: Subtree): boolean {
    return this.#subtrees.has(keyOf(subtree));
  }

  apply({ namespace, id, sinceMs }: PreservationChange): void {
    if (sinceMs === null) this.#subtrees.delete(keyOf({ namespace, id }));
    else this.#subtrees.set(keyOf({ namespace, id }), { namespace, id, sinceMs });
  }

  [Symbol.iterator](): Iterator<PreservedSubtree> {
    return this.#subtrees.values();
  }
}
