/** Leases of an id and of everything below it; of `TOP`, of the namespace. */
export interface SubtreeLeases {
  readonly id: string;
  readonly n: number;
  /** Silent ones. */
  readonly s: number;
  /** Silent ones that would be gone by now, and are kept. */
  readonly held: number;
}

/** The same as it is kept. */
export interface CountEntry extends SubtreeLeases {
  n: number;
  s: number;
  held: number;
  /** Where its numbers are added; undefined for `TOP` alone. */
  parent: CountEntry | undefined;
  isGrave: boolean;
}
