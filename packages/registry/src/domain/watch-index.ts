import type { EventDraft } from './change.js';
import type { WatchFilter } from './watch-filter.js';

interface Filtered {
  readonly filter: WatchFilter;
}

interface NamespaceIndex<Item> {
  readonly all: Set<Item>;
  readonly bySubtree: Map<string, Set<Item>>;
  readonly byId: Map<string, Set<Item>>;
}

/** Who wants to hear of an event: found by its id and its ancestors, so that others cost nothing. */
export class WatchIndex<Item extends Filtered> {
  readonly #namespaces = new Map<string, NamespaceIndex<Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: Item): void {
    this.#size += 1;
    const { namespace, subtree, ids } = item.filter;
    let index = this.#namespaces.get(namespace);
    if (index === undefined) {
      index = { all: new Set(), bySubtree: new Map(), byId: new Map() };
      this.#namespaces.set(namespace, index);
    }
    if (ids !== undefined) for (const id of ids) addTo(index.byId, id, item);
    else if (subtree !== undefined) addTo(index.bySubtree, subtree, item);
    else index.all.add(item);
  }

  remove(item: Item): void {
    const { namespace, subtree, ids } = item.filter;
    const index = this.#namespaces.get(namespace);
    if (index === undefined) return;
    this.#size -= 1;
    if (ids !== undefined) for (const id of ids) removeFrom(index.byId, id, item);
    else if (subtree !== undefined) removeFrom(index.bySubtree, subtree, item);
    else index.all.delete(item);
    if (index.all.size + index.bySubtree.size + index.byId.size === 0) this.#namespaces.delete(namespace);
  }

  /** Each that wants to hear of it, once. */
  match(event: EventDraft): ReadonlySet<Item> {
    const found = new Set<Item>();
    const index = this.#namespaces.get(event.namespace);
    if (index === undefined) return found;
    addAll(found, index.all);
    addAll(found, index.byId.get(event.id));
    if (index.bySubtree.size === 0) return found;
    addAll(found, index.bySubtree.get(event.id));
    for (const heir of event.heirs?.values() ?? [])
      if (heir !== null) addAll(found, index.bySubtree.get(heir));
    for (const ancestor of event.before ?? []) addAll(found, index.bySubtree.get(ancestor));
    if (event.after === event.before) return found;
    for (const ancestor of event.after ?? []) addAll(found, index.bySubtree.get(ancestor));
    return found;
  }
}

function addAll<Item>(found: Set<Item>, items: ReadonlySet<Item> | undefined): void {
  if (items !== undefined) for (const item of items) found.add(item);
}

function addTo<Item>(sets: Map<string, Set<Item>>, key: string, item: Item): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([item]));
  else set.add(item);
}

function removeFrom<Item>(sets: Map<string, Set<Item>>, key: string, item: Item): void {
  const set = sets.get(key);
  set?.delete(item);
  if (set?.size === 0) sets.delete(key);
}
