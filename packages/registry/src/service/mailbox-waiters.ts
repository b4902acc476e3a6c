import type { Collected, HandedMail } from '../domain/hand-outs.js';

/** A collector's look into its box. Throws where it may not look any more. */
export type Look = () => Collected;

interface Waiter {
  readonly look: Look;
  readonly endMs: number;
  timer: NodeJS.Timeout | undefined;
  /** Ends the wait, once. */
  settle(outcome: readonly HandedMail[] | Error): void;
}

export interface WaitRequest {
  /** Of the box. */
  readonly key: string;
  readonly look: Look;
  readonly waitMs: number;
  /** When a message that is hidden now comes back. */
  readonly returnsAtMs: number;
  /** Whoever waited has gone. */
  readonly signal: AbortSignal;
}

/** Collectors that wait for a message, in the order in which they came. */
export class MailboxWaiters {
  readonly #nowMs: () => number;
  readonly #byBox = new Map<string, Set<Waiter>>();
  readonly #woken = new Set<string>();
  #size = 0;

  /** `nowMs`: the clock by which messages are hidden. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#size;
  }

  /** Resolves to messages as soon as there are any, or to none when the time is over. */
  wait({ key, look, waitMs, returnsAtMs, signal }: WaitRequest): Promise<readonly HandedMail[]> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        waiter.settle([]);
      };
      const waiter: Waiter = {
        look,
        endMs: this.#nowMs() + waitMs,
        timer: undefined,
        settle: (outcome) => {
          if (!this.#remove(key, waiter)) return;
          signal.removeEventListener('abort', onAbort);
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        },
      };
      const waiters = this.#byBox.get(key) ?? new Set();
      this.#byBox.set(key, waiters.add(waiter));
      this.#size += 1;
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      else this.#sleep(waiter, returnsAtMs);
    });
  }

  /** Something has changed there. All that changes in one turn wakes once. */
  wake(key: string): void {
    if (!this.#byBox.has(key)) return;
    if (this.#woken.size === 0) setImmediate(this.#lookAll);
    this.#woken.add(key);
  }

  /** Ends every wait. */
  stop(): void {
    for (const waiters of [...this.#byBox.values()]) for (const waiter of [...waiters]) waiter.settle([]);
  }

  readonly #lookAll = (): void => {
    const keys = [...this.#woken];
    this.#woken.clear();
    for (const key of keys) for (const waiter of [...(this.#byBox.get(key) ?? [])]) this.#look(waiter);
  };

  #look(waiter: Waiter): void {
    try {
      const { items, returnsAtMs } = waiter.look();
      if (items.length > 0 || this.#nowMs() >= waiter.endMs) waiter.settle(items);
      else this.#sleep(waiter, returnsAtMs);
    } catch (error) {
      waiter.settle(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #sleep(waiter: Waiter, returnsAtMs: number): void {
    clearTimeout(waiter.timer);
    const ms = Math.ceil(Math.min(waiter.endMs, returnsAtMs) - this.#nowMs());
    waiter.timer = setTimeout(() => {
      this.#look(waiter);
    }, ms);
  }

  #remove(key: string, waiter: Waiter): boolean {
    const waiters = this.#byBox.get(key);
    if (waiters?.delete(waiter) !== true) return false;
    if (waiters.size === 0) this.#byBox.delete(key);
    this.#size -= 1;
    clearTimeout(waiter.timer);
    return true;
  }
}
