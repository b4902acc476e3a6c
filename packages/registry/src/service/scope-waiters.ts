import type { EventDraft } from '../domain/change.js';
import { visitScopes, type Scope } from '../domain/change-scopes.js';
import type { WorkSlices } from './work-slices.js';

/** Woken in one step. */
const STEP_WAITERS = 50;

interface Waiter {
  readonly tell: () => void;
  readonly stopWaiting: () => void;
}

const keyOf = (kind: Scope['kind'], namespace: string, id: string): string => `${kind} ${namespace} ${id}`;

/** Those who wait for a change in their scope. Found by it, so that they cost nothing to changes elsewhere. */
export class ScopeWaiters {
  readonly #work: WorkSlices;
  readonly #byScope = new Map<string, Set<Waiter>>();
  #woken: Waiter[] = [];
  #size = 0;

  constructor(work: WorkSlices) {
    this.#work = work;
  }

  get size(): number {
    return this.#size;
  }

  /** Tells once: when something has changed, or the time is over. Never where `signal` aborts before. */
  wait({ kind, namespace, id }: Scope, waitMs: number, signal: AbortSignal, tell: () => void): void {
    const key = keyOf(kind, namespace, id);
    let isWaiting = true;
    const stopWaiting = (): void => {
      if (!isWaiting) return;
      isWaiting = false;
      this.#size -= 1;
      clearTimeout(timer);
      signal.removeEventListener('abort', stopWaiting);
      const waiters = this.#byScope.get(key);
      waiters?.delete(waiter);
      if (waiters?.size === 0) this.#byScope.delete(key);
    };
    const waiter: Waiter = {
      tell: () => {
        if (!isWaiting) return;
        stopWaiting();
        tell();
      },
      stopWaiting,
    };
    const timer = setTimeout(waiter.tell, waitMs);
    signal.addEventListener('abort', stopWaiting);
    this.#size += 1;
    const waiters = this.#byScope.get(key);
    if (waiters === undefined) this.#byScope.set(key, new Set([waiter]));
    else waiters.add(waiter);
  }

  /** A change was applied. */
  noteEvents(events: readonly EventDraft[]): void {
    if (this.#byScope.size === 0) return;
    for (const event of events) {
      visitScopes(event, (kind, id) => {
        const key = keyOf(kind, event.namespace, id);
        const waiters = this.#byScope.get(key);
        if (waiters === undefined) return;
        this.#byScope.delete(key);
        if (this.#woken.length === 0) this.#work.add(this.#tell);
        for (const waiter of waiters) this.#woken.push(waiter);
      });
    }
  }

  /** Ends every wait. */
  stop(): void {
    for (const waiters of [...this.#byScope.values()]) for (const { tell } of [...waiters]) tell();
    for (const { tell } of this.#woken) tell();
  }

  readonly #tell = (): boolean => {
    const woken = this.#woken.slice(0, STEP_WAITERS);
    for (const { tell } of woken) tell();
    // Only now: while some are left, no further step need be added.
    this.#woken = this.#woken.slice(woken.length);
    return this.#woken.length === 0;
  };
}
