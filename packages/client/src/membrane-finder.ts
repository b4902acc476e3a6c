import { LIMITS, MembraneError } from '@membrane/protocol';
import type { Balancer, ChoiceRequest } from './balancing/balancer.js';
import type { CallOptions, ListFilter, Membrane, RegistryApi } from './registry-api.js';
import { tellsOfAbsence, type FoundMembrane, type Resolver } from './resolver.js';
import type { MembraneReplica } from './watching/membrane-replica.js';

export interface DiscoverOptions extends CallOptions {
  /** False asks the registry, whatever is remembered. */
  useCache?: boolean | undefined;
}

export interface PickOptions extends DiscoverOptions, ChoiceRequest {}

export interface UseOptions extends PickOptions {
  /** Whether the instance is to blame for what the work threw: for all but aborts unless given. */
  isFailure?: ((error: unknown) => boolean) | undefined;
}

export interface MembraneFinderParts {
  readonly api: RegistryApi;
  /** Undefined: nothing is remembered. */
  readonly resolver: Resolver | undefined;
  /** Undefined where there is none, or none yet. */
  readonly replica: () => MembraneReplica | undefined;
  readonly balancer: Balancer;
}

/** Finds others: in the replica, in what is remembered, or by asking the registry. */
export class MembraneFinder {
  readonly #parts: MembraneFinderParts;

  constructor(parts: MembraneFinderParts) {
    this.#parts = parts;
  }

  /**
   * At once where it is known, else as a promise: each promise that is waited for costs as much as finding it.
   * @throws as `NamespaceClient.discover`, at once or by the promise.
   */
  discover(
    id: string,
    options: DiscoverOptions = {},
  ): FoundMembrane | undefined | Promise<FoundMembrane | undefined> {
    const { useCache = true, signal } = options;
    const { resolver } = this.#parts;
    const replica = useCache ? this.#parts.replica() : undefined;
    const isBehind = replica?.isBehind === true;
    let known = isBehind ? 'unknown' : replica?.get(id);
    if (useCache && !isBehind && resolver !== undefined && typeof known !== 'object' && known !== 'absent') {
      signal?.throwIfAborted();
      known = resolver.recall(id);
    }
    if (known === 'absent') return undefined;
    if (typeof known === 'object') return known;
    return this.#ask(id, { ...options, useCache: useCache && !isBehind }, replica);
  }

  peek(id: string): FoundMembrane | undefined {
    const replica = this.#parts.replica();
    const known = replica?.get(id);
    if (typeof known === 'object') return known;
    return known === 'unknown' ? replica?.last(id) : undefined;
  }

  async list(filter: ListFilter, call: CallOptions | undefined): Promise<Membrane[]> {
    const { api } = this.#parts;
    const replica = filter.subtree === undefined ? this.#parts.replica() : undefined;
    const isCurrent = replica !== undefined && !replica.isBehind && replica.status.ageMs === 0;
    const known = isCurrent ? replica.list(filter) : undefined;
    if (known !== undefined) return known;
    try {
      return await api.listMembranes(filter, call);
    } catch (error) {
      const last = tellsOfAbsence(error) ? replica?.list(filter) : undefined;
      if (last === undefined) throw error;
      return last;
    }
  }

  /** Those above an id, the parent first; as far up as they are there. */
  async ancestors(id: string, call: CallOptions | undefined): Promise<FoundMembrane[]> {
    const found: FoundMembrane[] = [];
    let below = await this.discover(id, call);
    while (below?.parent != null && found.length < LIMITS.maxTreeDepth) {
      below = await this.discover(below.parent, call);
      if (below !== undefined) found.push(below);
    }
    return found;
  }

  async pick(id: string, { key, strategy, ...options }: PickOptions): Promise<Membrane | undefined> {
    const found = await this.discover(id, options);
    return found && this.#parts.balancer.choose(found.instances, { key, strategy });
  }

  async use<Result>(
    id: string,
    work: (instance: Membrane) => Promise<Result>,
    options: UseOptions,
  ): Promise<Result> {
    const instance = await this.pick(id, options);
    if (instance === undefined) throw new MembraneError('not_found', `there is no membrane "${id}"`);
    const end = this.#parts.balancer.begin(instance);
    let isFault = false;
    try {
      return await work(instance);
    } catch (error) {
      const { signal, isFailure } = options;
      isFault = !isAbort(error, signal);
      if (isFailure !== undefined) isFault = isFailure(error);
      throw error;
    } finally {
      end(isFault);
    }
  }

  /** What is remembered of an id may be wrong. */
  forget(id: string): void {
    this.#parts.resolver?.forget(id);
  }

  /**
   * What this client changed itself it finds changed, whatever it remembers.
   * @param revision undefined where nothing was changed
   */
  noteOwnChange(id: string, revision: number | undefined): void {
    this.forget(id);
    if (revision !== undefined) this.#parts.replica()?.noteOwnChange(revision);
  }

  /** What a registry says; where none answers, what the replica had last. */
  async #ask(
    id: string,
    { useCache, ...call }: CallOptions & { readonly useCache: boolean },
    replica: MembraneReplica | undefined,
  ): Promise<FoundMembrane | undefined> {
    const { resolver, api } = this.#parts;
    try {
      if (resolver !== undefined) return await resolver.resolve(id, { useCache, ...call });
      const found = await api.discover(id, call);
      return found && { ...found, isStale: false };
    } catch (error) {
      const last = tellsOfAbsence(error) ? replica?.last(id) : undefined;
      if (last === undefined) throw error;
      return last;
    }
  }
}

function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || (error as { name?: unknown } | null)?.name === 'AbortError';
}
