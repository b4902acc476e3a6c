import { isMembraneError, type CamelCased, type DiscoveredMembrane } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import { waitWithSignal } from './abort.js';
import type { Clock } from './clock.js';
import type { ClientOptions } from './options.js';

/** A membrane as it was found, with all its instances. */
export type FoundMembrane = CamelCased<DiscoveredMembrane> & {
  /** True where no registry could be reached, and this is what one said before. */
  readonly isStale: boolean;
};

export interface ResolverParts {
  /** Asks a registry; undefined where there is no such membrane. */
  readonly ask: (id: string) => Promise<CamelCased<DiscoveredMembrane> | undefined>;
  readonly cache: Exclude<ClientOptions['cache'], false>;
  readonly clock: Clock;
}

export interface ResolveOptions {
  /** False asks the registry, whatever is known. */
  readonly useCache: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Answer {
  readonly membrane: CamelCased<DiscoveredMembrane> | undefined;
  readonly atMs: number;
}

/** Finds membranes by id, and remembers: a bounded number of answers, and one question at a time for an id. */
export class Resolver {
  readonly #parts: ResolverParts;
  readonly #answers: LRUCache<string, Answer>;
  readonly #asking = new Map<string, Promise<Answer>>();

  constructor(parts: ResolverParts) {
    this.#parts = parts;
    // By size in place of number: it would set room for the whole number aside at once.
    this.#answers = new LRUCache({ maxSize: parts.cache.maxEntries, sizeCalculation: () => 1 });
  }

  /**
   * @throws MembraneError; where no registry can be reached, only if none has said anything of the id within
   * `maxStaleMs`.
   */
  async resolve(id: string, { useCache, signal }: ResolveOptions): Promise<FoundMembrane | undefined> {
    signal?.throwIfAborted();
    const known = this.#answers.get(id);
    if (useCache && known !== undefined && this.#isFresh(known)) return toFound(known, false);
    try {
      // One who gives up does not end the question of the others.
      const asked = (useCache ? this.#asking.get(id) : undefined) ?? this.#ask(id);
      return toFound(await waitWithSignal(asked, signal), false);
    } catch (error) {
      const isAway =
        isMembraneError(error) && (error.code === 'registry_unreachable' || error.code === 'not_ready');
      if (!useCache || !isAway || known === undefined || this.#ageMs(known) > this.#parts.cache.maxStaleMs) {
        throw error;
      }
      return toFound(known, true);
    }
  }

  /** Forgets what is known of an id. */
  forget(id: string): void {
    this.#answers.delete(id);
    this.#asking.delete(id);
  }

  #ask(id: string): Promise<Answer> {
    const atMs = this.#parts.clock.monotonicMs();
    const asked = this.#parts
      .ask(id)
      .then((membrane) => {
        const answer = { membrane, atMs };
        // What was asked anew, or forgotten, meanwhile is known better.
        if (this.#asking.get(id) === asked) this.#answers.set(id, answer);
        return answer;
      })
      .finally(() => {
        if (this.#asking.get(id) === asked) this.#asking.delete(id);
      });
    this.#asking.set(id, asked);
    return asked;
  }

  #isFresh(answer: Answer): boolean {
    const { ttlMs, negativeTtlMs } = this.#parts.cache;
    return this.#ageMs(answer) < (answer.membrane === undefined ? negativeTtlMs : ttlMs);
  }

  #ageMs({ atMs }: Answer): number {
    return this.#parts.clock.monotonicMs() - atMs;
  }
}

/** A copy, since its receiver may change it; undefined where nobody has the id. */
function toFound({ membrane }: Answer, isStale: boolean): FoundMembrane | undefined {
  return membrane === undefined ? undefined : { ...membrane, isStale };
}
