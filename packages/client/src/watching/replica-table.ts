import { freezeDeeply } from '../freeze-deeply.js';
import type { ListFilter, Membrane } from '../registry-api.js';
import type { FoundMembrane } from '../resolver.js';
import type { MembraneChange } from './watch.js';

interface Entry {
  readonly instances: readonly Membrane[];
  /** What `discover` would say, the primary instance first; made when it is asked for. */
  found: FoundMembrane | undefined;
}

/**
 * The instances of a namespace or subtree, by id, with an index by parent. Changes are applied in the order of their
 * revisions; one that is older than what a snapshot has told already is passed over.
 */
export class ReplicaTable {
  readonly #subtree: string | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #children = new Map<string, Set<string>>();

  constructor(subtree: string | undefined) {
    this.#subtree = subtree;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A record of a snapshot. */
  load(record: Membrane): void {
    this.#put(record);
  }

  /** The snapshot is whole: who has no parent in it is detached. */
  endLoad(): void {
    for (const id of this.#entries.keys()) this.#forget(id);
  }

  get(id: string): FoundMembrane | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : (entry.found ??= this.#toFound(entry));
  }

  list({ parent, communicationMode, status, metadata = {} }: ListFilter): Membrane[] {
    const wanted = Object.entries(metadata);
    const ids = typeof parent === 'string' ? (this.#children.get(parent) ?? []) : this.#entries.keys();
    const found: Membrane[] = [];
    for (const id of ids) {
      for (const instance of this.get(id)?.instances ?? []) {
        if (parent !== undefined && instance.parent !== parent) continue;
        if (communicationMode !== undefined && instance.communicationMode !== communicationMode) continue;
        if (status !== undefined && instance.status !== status) continue;
        if (wanted.every(([key, value]) => hasValue(instance, key, value))) found.push(instance);
      }
    }
    return found;
  }

  /** @returns false where it cannot tell what the change means for others: then it is to be read anew. */
  apply(change: MembraneChange): boolean {
    const { event, id, instanceId, record, after, revision, timestamp, preservation } = change;
    // It is about leases: no record tells of it.
    if (preservation !== undefined) return true;
    if (event === 'dissolved') {
      this.#dissolve(change);
    } else if (after === undefined) {
      this.#remove(id, instanceId, revision);
    } else if (!this.#isWithin(id, after.ancestors)) {
      this.#removeBelow(id);
      return !this.#hasOrphans();
    } else if (record !== undefined) {
      this.#put({ ...record, lastHeartbeat: timestamp, detached: false });
    }
    return true;
  }

  #isWithin(id: string, ancestors: readonly string[] | undefined): boolean {
    const subtree = this.#subtree;
    return subtree === undefined || id === subtree || ancestors?.includes(subtree) === true;
  }

  #put(record: Membrane): void {
    const { id, instanceId, parent } = record;
    const before = this.#entries.get(id);
    const known = before?.instances.find((instance) => instance.instanceId === instanceId);
    if (known !== undefined && known.revision > record.revision) return;
    // Where one of several moves, all do.
    const others = (before?.instances ?? [])
      .filter((instance) => instance !== known)
      .map((instance) => (instance.parent === parent ? instance : Object.freeze({ ...instance, parent })));
    const instances = [...others, freezeDeeply(record)].sort(
      (one, other) => one.incarnation - other.incarnation,
    );
    this.#replace(id, { instances, found: undefined });
  }

  #remove(id: string, instanceId: string, revision: number): void {
    const before = this.#entries.get(id);
    const instances = before?.instances.filter(
      (instance) => instance.instanceId !== instanceId || instance.incarnation > revision,
    );
    if (before === undefined || instances === undefined) return;
    this.#replace(id, instances.length === 0 ? undefined : { instances, found: undefined });
  }

  /** Its children go to its heirs, without a word of each. */
  #dissolve({ id, instanceId, revision, after }: MembraneChange): void {
    this.#remove(id, instanceId, revision);
    if (id === this.#subtree) {
      for (const each of [...this.#entries.keys()]) this.#replace(each, undefined);
      return;
    }
    for (const child of [...(this.#children.get(id) ?? [])]) {
      const heirs = after?.heirs ?? {};
      const parent = (Object.hasOwn(heirs, child) ? heirs[child] : undefined) ?? after?.heir ?? null;
      const instances = this.#entries.get(child)?.instances ?? [];
      this.#replace(child, {
        instances: instances.map((instance) => Object.freeze({ ...instance, parent })),
        found: undefined,
      });
    }
  }

  /** Whether some are below a place that nobody holds: what stands above it is not known here. */
  #hasOrphans(): boolean {
    for (const [id, { instances }] of this.#entries) {
      const parent = instances[0]?.parent;
      if (id !== this.#subtree && parent != null && !this.#entries.has(parent)) return true;
    }
    return false;
  }

  /** It has left the subtree, with everything that is below it. */
  #removeBelow(id: string): void {
    const open = [id];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      open.push(...(this.#children.get(next) ?? []));
      this.#replace(next, undefined);
    }
  }

  #replace(id: string, entry: Entry | undefined): void {
    const before = this.#entries.get(id);
    const [parentBefore, parent] = [before?.instances[0]?.parent, entry?.instances[0]?.parent];
    if (parentBefore != null && parentBefore !== parent) this.#unlink(parentBefore, id);
    if (parent != null && parentBefore !== parent) this.#link(parent, id);
    if (entry === undefined) this.#entries.delete(id);
    else this.#entries.set(id, entry);
    if ((before === undefined) === (entry === undefined)) return;
    // Whether they are detached.
    for (const child of this.#children.get(id) ?? []) this.#forget(child);
  }

  #forget(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.found = undefined;
  }

  #link(parent: string, id: string): void {
    const siblings = this.#children.get(parent);
    if (siblings === undefined) this.#children.set(parent, new Set([id]));
    else siblings.add(id);
  }

  #unlink(parent: string, id: string): void {
    const siblings = this.#children.get(parent);
    siblings?.delete(id);
    if (siblings?.size === 0) this.#children.delete(parent);
  }

  #toFound({ instances }: Entry): FoundMembrane {
    const marked = instances.map((instance) => {
      const detached = this.#isDetached(instance);
      return detached === instance.detached ? instance : Object.freeze({ ...instance, detached });
    });
    const primary =
      marked.find(({ status }) => status === 'active') ??
      marked.find(({ status }) => status === 'draining') ??
      marked[0];
    if (primary === undefined) throw new Error('an id without instances');
    const others = marked.filter((instance) => instance !== primary);
    return Object.freeze({
      ...primary,
      instances: Object.freeze([primary, ...others]),
      isStale: false,
    }) as FoundMembrane;
  }

  /** Of the root of a subtree the parent is not held: the registry has told. */
  #isDetached({ id, parent, detached }: Membrane): boolean {
    return id === this.#subtree ? detached : parent !== null && !this.#entries.has(parent);
  }
}

function hasValue({ metadata }: Membrane, key: string, value: string): boolean {
  if (!Object.hasOwn(metadata, key)) return false;
  const actual = metadata[key];
  return typeof actual === 'string' ? actual === value : JSON.stringify(actual) === value;
}
