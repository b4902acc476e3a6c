import { isMembraneError, MembraneError, type CamelCased, type DiscoveredMembrane } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import { waitWithSignal } from './abort.js';
import type { Clock } from './clock.js';
import { freezeDeeply } from './freeze-deeply.js';
import type { ClientOptions } from './options.js';
import type { CallOptions } from './registry-api.js';

/** Since an answer is this late, its registry counts as away for those who have an older one. */
const LATE_AFTER_MS = 250;

/** So long after a failure nobody who has an older answer waits for a registry: it is tried in the background. */
const AWAY_FOR_MS = 30_000;

/**
 * A membrane as it was found, with all its instances. Where answers are remembered it is frozen, and the same one for all
 * who ask.
 */
export type FoundMembrane = CamelCased<DiscoveredMembrane> & {
  /** True where no registry answers, or none in good time, and this is what one said before. */
  readonly isStale: boolean;
};

export interface ResolverParts {
  /** Asks a registry; undefined where there is no such membrane. */
  readonly ask: (id: string) => Promise<CamelCased<DiscoveredMembrane> | undefined>;
  readonly cache: Exclude<ClientOptions['cache'], false>;
  readonly clock: Clock;
}

/** Signal and time limit end the wait of one caller; the question is asked on, for the others. */
export interface ResolveOptions extends CallOptions {
  /** False asks the registry, whatever is known. */
  readonly useCache: boolean;
}

interface Answer {
  /** Undefined where there is no such membrane. */
  readonly found: FoundMembrane | undefined;
  readonly atMs: number;
}

interface Question {
  readonly answer: Promise<Answer>;
  readonly atMs: number;
}

/** Finds membranes by id, and remembers: a bounded number of answers, and one question at a time for an id. */
export class Resolver {
  readonly #parts: ResolverParts;
  readonly #answers: LRUCache<string, Answer>;
  /** The oldest first. */
  readonly #asking = new Map<string, Question>();
  #awayUntilMs = Number.NEGATIVE_INFINITY;
  #isProbing = false;

  constructor(parts: ResolverParts) {
    this.#parts = parts;
    // By size in place of number: it would set room for the whole number aside at once.
    this.#answers = new LRUCache({ maxSize: parts.cache.maxEntries, sizeCalculation: () => 1 });
  }

  /** What is remembered and fresh, at once: `absent` where there is no such membrane, `unknown` where one has to ask. */
  recall(id: string): FoundMembrane | 'absent' | 'unknown' {
    const known = this.#answers.get(id);
    if (known === undefined || !this.#isFresh(known)) return 'unknown';
    return known.found ?? 'absent';
  }

  /**
   * @throws MembraneError; where no registry can be reached, or not within `timeoutMs`, only if none has said anything
   * of the id within `maxStaleMs`.
   */
  async resolve(id: string, { useCache, ...limits }: ResolveOptions): Promise<FoundMembrane | undefined> {
    limits.signal?.throwIfAborted();
    const known = useCache ? this.#answers.get(id) : undefined;
    if (known !== undefined && this.#isFresh(known)) return known.found;
    // That there was nobody cannot be marked as stale: it is not said without a try.
    if (known?.found !== undefined && this.#isUsable(known) && this.#isAway()) {
      this.#probe(id);
      return toStale(known);
    }
    try {
      const question = (useCache ? this.#asking.get(id) : undefined) ?? this.#ask(id);
      return (await this.#wait(question.answer, limits)).found;
    } catch (error) {
      if (known === undefined || !this.#isUsable(known) || !tellsOfAbsence(error)) throw error;
      return toStale(known);
    }
  }

  /** Forgets what is known of an id. */
  forget(id: string): void {
    this.#answers.delete(id);
    this.#asking.delete(id);
  }

  #ask(id: string): Question {
    const atMs = this.#parts.clock.monotonicMs();
    const answer = this.#parts
      .ask(id)
      .then((membrane) => {
        const fresh = { found: membrane && freezeDeeply({ ...membrane, isStale: false }), atMs };
        this.#awayUntilMs = Number.NEGATIVE_INFINITY;
        // What was asked anew, or forgotten, meanwhile is known better.
        if (this.#asking.get(id) === question) this.#answers.set(id, fresh);
        return fresh;
      })
      .catch((error: unknown) => {
        this.#awayUntilMs = tellsOfAbsence(error)
          ? this.#parts.clock.monotonicMs() + AWAY_FOR_MS
          : Number.NEGATIVE_INFINITY;
        throw error;
      })
      .finally(() => {
        if (this.#asking.get(id) === question) this.#asking.delete(id);
      });
    const question = { answer, atMs };
    this.#asking.delete(id);
    this.#asking.set(id, question);
    return question;
  }

  /** Asks in the background, one question at a time: the first that is answered says that the registry is back. */
  #probe(id: string): void {
    if (this.#isProbing || this.#asking.has(id)) return;
    this.#isProbing = true;
    this.#ask(id)
      .answer.catch(() => undefined)
      .finally(() => (this.#isProbing = false));
  }

  async #wait(answer: Promise<Answer>, { signal, timeoutMs }: CallOptions): Promise<Answer> {
    if (timeoutMs === undefined) return waitWithSignal(answer, signal);
    const limit = new AbortController();
    const timer = this.#parts.clock.setTimer(() => {
      limit.abort(new MembraneError('registry_unreachable', `no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      return await waitWithSignal(waitWithSignal(answer, limit.signal), signal);
    } finally {
      timer.cancel();
    }
  }

  #isAway(): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    const [oldest] = this.#asking.values();
    return nowMs < this.#awayUntilMs || (oldest !== undefined && nowMs - oldest.atMs > LATE_AFTER_MS);
  }

  #isUsable(answer: Answer): boolean {
    return this.#ageMs(answer) <= this.#parts.cache.maxStaleMs;
  }

  #isFresh(answer: Answer): boolean {
    const { ttlMs, negativeTtlMs } = this.#parts.cache;
    return this.#ageMs(answer) < (answer.found === undefined ? negativeTtlMs : ttlMs);
  }

  #ageMs({ atMs }: Answer): number {
    return this.#parts.clock.monotonicMs() - atMs;
  }
}

export function tellsOfAbsence(error: unknown): boolean {
  return isMembraneError(error) && (error.code === 'registry_unreachable' || error.code === 'not_ready');
}

/** A copy, for the mark; undefined where nobody has the id. */
function toStale({ found }: Answer): FoundMembrane | undefined {
  return found && Object.freeze({ ...found, isStale: true });
}
