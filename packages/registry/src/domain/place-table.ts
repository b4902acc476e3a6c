import type { Lease } from './lease.js';
import type { CountEntry } from './count-entry.js';
import type { MembraneNode } from './membrane-node.js';
import { ShardedMap } from './sharded-map.js';

/** What is kept in memory of an id. */
export interface Place {
  node: MembraneNode | undefined;
  /** Nearly every id has one instance. */
  lease: Lease | undefined;
  /** Where there are several: all but that one, by instance id. */
  otherLeases: Map<string, Lease> | undefined;
  /** See `LeaseCounts`. */
  counts: CountEntry | undefined;
}

/**
 * By namespace and id. One map for all that is kept of an id: at a million ids each look into a map is a look into
 * memory that no cache has.
 */
export class PlaceTable {
  readonly #namespaces = new Map<string, ShardedMap<Place>>();

  find(namespace: string, id: string): Place | undefined {
    return this.#namespaces.get(namespace)?.get(id);
  }

  /** Made where there is none; then something must be put there. */
  at(namespace: string, id: string): Place {
    let places = this.#namespaces.get(namespace);
    if (places === undefined) {
      places = new ShardedMap();
      this.#namespaces.set(namespace, places);
    }
    let place = places.get(id);
    if (place === undefined) {
      place = { node: undefined, lease: undefined, otherLeases: undefined, counts: undefined };
      places.set(id, place);
    }
    return place;
  }

  /** Forgets the place where nothing is left in it. To be called by whoever has taken something out. */
  release(namespace: string, id: string, { node, lease, otherLeases, counts }: Place): void {
    if (node !== undefined || lease !== undefined || otherLeases !== undefined || counts !== undefined)
      return;
    const places = this.#namespaces.get(namespace);
    places?.delete(id);
    if (places?.size === 0) this.#namespaces.delete(namespace);
  }

  *all(): Iterable<Place> {
    for (const places of this.#namespaces.values()) yield* places.values();
  }
}
