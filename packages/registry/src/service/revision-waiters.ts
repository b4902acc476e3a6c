import { MembraneError } from '@membrane/protocol';
import { DeadlineHeap } from '../domain/deadline-heap.js';
import type { WorkSlices } from './work-slices.js';

/** How long one waits for a revision that this registry does not have. */
const MAX_WAIT_MS = 5_000;
const RETRY_AFTER_MS = 1_000;
/** Told in one step. */
const STEP_WAITERS = 50;

type Tell = (error?: MembraneError) => void;

interface Waiter {
  readonly tell: Tell;
  readonly stopWaiting: () => void;
}

/** Those who have seen a later state than this one, and want no earlier. */
export class RevisionWaiters {
  readonly #work: WorkSlices;
  readonly #waiters = new DeadlineHeap<Waiter>();
  #revision = 0;
  #isTelling = false;

  constructor(work: WorkSlices) {
    this.#work = work;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Tells once: when the revision has come, or that it did not come in time. Never where `signal` aborts before. */
  wait(revision: number, signal: AbortSignal, tell: Tell): void {
    const stopWaiting = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stopWaiting);
      this.#waiters.remove(waiter);
    };
    const waiter: Waiter = { tell, stopWaiting };
    const timer = setTimeout(() => {
      stopWaiting();
      const message = `revision ${revision} is not here yet; try again, or read without it`;
      tell(new MembraneError('not_ready', message, { details: { retryAfterMs: RETRY_AFTER_MS } }));
    }, MAX_WAIT_MS);
    signal.addEventListener('abort', stopWaiting);
    this.#waiters.add(waiter, revision);
  }

  /** The state has this revision. */
  noteRevision(revision: number): void {
    this.#revision = revision;
    if (this.#waiters.size === 0 || this.#isTelling) return;
    this.#isTelling = true;
    this.#work.add(this.#tell);
  }

  /** Ends every wait: what is told is up to who asks next. */
  stop(): void {
    this.#revision = Number.POSITIVE_INFINITY;
    while (!this.#tell()) continue;
  }

  readonly #tell = (): boolean => {
    const due = this.#waiters.takeDue(this.#revision, STEP_WAITERS);
    for (const { stopWaiting, tell } of due) {
      stopWaiting();
      tell();
    }
    this.#isTelling = due.length === STEP_WAITERS;
    return !this.#isTelling;
  };
}
