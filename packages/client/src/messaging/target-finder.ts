import { LIMITS, MembraneError, type Target } from '@membrane/protocol';
import type { ListFilter, Membrane } from '../registry-api.js';
import type { FoundMembrane } from '../resolver.js';

export interface TargetFinderParts {
  readonly id: string;
  /** As the registry has it: undefined where the client is not registered. */
  readonly ownParent: () => string | null | undefined;
  readonly discover: (id: string, signal?: AbortSignal) => Promise<FoundMembrane | undefined>;
  readonly list: (filter: ListFilter, signal?: AbortSignal) => AsyncIterable<Membrane>;
}

/** One receiver of a message to many. */
export interface Member {
  readonly id: string;
  /** Undefined: whichever instance is chosen. */
  readonly instanceId: string | undefined;
}

/** What a target means now. */
export class TargetFinder {
  readonly #parts: TargetFinderParts;

  constructor(parts: TargetFinderParts) {
    this.#parts = parts;
  }

  /**
   * The id that a target of one receiver means.
   * @throws MembraneError `not_found` where there is none, `invalid_request` where it means several.
   */
  async findOne(target: Target, signal?: AbortSignal): Promise<string> {
    switch (target.kind) {
      case 'one':
      case 'any':
        return target.id;
      case 'out':
        return this.#parent(signal);
      case 'child': {
        const child = await this.#parts.discover(target.id, signal);
        if (child?.parent === this.#parts.id) return target.id;
        throw new MembraneError('not_found', `"${this.#parts.id}" has no child "${target.id}"`);
      }
      default:
        throw new MembraneError(
          'invalid_request',
          'target means several membranes: broadcast to it, or name one of them',
        );
    }
  }

  /**
   * Everybody that a target means, without the sender; of one answer of the registry.
   * @throws MembraneError `not_found` where it names somebody who is not there; `invalid_request` where they are more
   * than 10,000.
   */
  async findAll(target: Target, signal?: AbortSignal): Promise<readonly Member[]> {
    const { id } = this.#parts;
    switch (target.kind) {
      case 'children':
        return this.#collect({ parent: id }, signal);
      case 'siblings': {
        const parent = await this.#findParent(signal);
        return this.#collect({ parent }, signal);
      }
      case 'subtree':
        return this.#collectBelow(target.id, signal);
      case 'all': {
        const found = await this.#parts.discover(target.id, signal);
        if (found === undefined) throw nobody(target.id);
        return found.instances.map(({ instanceId }) => ({ id: target.id, instanceId }));
      }
      default:
        return [{ id: await this.findOne(target, signal), instanceId: undefined }];
    }
  }

  async #findParent(signal: AbortSignal | undefined): Promise<string | null> {
    const known = this.#parts.ownParent();
    if (known !== undefined) return known;
    return (await this.#parts.discover(this.#parts.id, signal))?.parent ?? null;
  }

  async #parent(signal: AbortSignal | undefined): Promise<string> {
    const parent = await this.#findParent(signal);
    if (parent !== null) return parent;
    throw new MembraneError('not_found', `"${this.#parts.id}" has no parent`);
  }

  async #collect(filter: ListFilter, signal: AbortSignal | undefined): Promise<readonly Member[]> {
    const ids = new Set<string>();
    for await (const { id } of this.#parts.list(filter, signal)) {
      if (id !== this.#parts.id) ids.add(id);
      assertFew(ids.size);
    }
    return [...ids].map((id) => ({ id, instanceId: undefined }));
  }

  /**
   * The tree comes as a list: who is below is known when all are seen.
   * @param named undefined: the subtree of this membrane.
   */
  async #collectBelow(
    named: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<readonly Member[]> {
    const root = named ?? this.#parts.id;
    const childrenOf = new Map<string, Set<string>>();
    let isThere = named === undefined;
    for await (const { id, parent } of this.#parts.list({}, signal)) {
      if (id === root) isThere = true;
      if (parent === null) continue;
      const children = childrenOf.get(parent) ?? new Set();
      childrenOf.set(parent, children.add(id));
    }
    // Who has children left is meant, also where it has gone itself.
    if (!isThere && !childrenOf.has(root)) throw nobody(root);
    const below = new Set<string>();
    const next = [root];
    for (let id = next.pop(); id !== undefined; id = next.pop()) {
      for (const child of childrenOf.get(id) ?? []) {
        if (below.has(child) || child === root) continue;
        below.add(child);
        next.push(child);
      }
      assertFew(below.size);
    }
    below.delete(this.#parts.id);
    return [...below].map((id) => ({ id, instanceId: undefined }));
  }
}

function nobody(id: string): MembraneError {
  return new MembraneError('not_found', `there is no membrane "${id}"`);
}

function assertFew(count: number): void {
  if (count <= LIMITS.maxBroadcastMembers) return;
  throw new MembraneError(
    'invalid_request',
    `target must mean at most ${LIMITS.maxBroadcastMembers} membranes`,
  );
}
