import { lookup, type LookupAddress } from 'node:dns';
import { promisify } from 'node:util';

/**
 * Names looked up at once. Each takes one of the four threads that Node has for files too, the database among them,
 * for as long as the name server likes: names that nobody answers for must not hold up the store.
 */
const MAX_RUNNING = 2;

export type ResolveName = (host: string) => Promise<readonly LookupAddress[]>;

const lookupAsync = promisify(lookup);
const resolveBySystem: ResolveName = (host) => lookupAsync(host, { all: true });

/** Finds the addresses of names as every program does (hosts file, search list, name server), a few at a time. */
export class NameLookup {
  readonly #resolve: ResolveName;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(resolve: ResolveName = resolveBySystem) {
    this.#resolve = resolve;
  }

  /**
   * Undefined where it never was its turn before the signal.
   * @throws the error of the system, or the reason of the signal where that came while it was looked for.
   */
  async find(host: string, signal: AbortSignal): Promise<readonly LookupAddress[] | undefined> {
    if (!(await this.#turn(signal))) return undefined;
    // It cannot be called off, so its turn lasts until it ends.
    const found = this.#resolve(host).finally(() => {
      this.#running -= 1;
      const [next] = this.#waiting;
      next?.();
    });
    return raceSignal(found, signal);
  }

  #turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#running < MAX_RUNNING) {
      this.#running += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const settle = (isTurn: boolean): void => {
        this.#waiting.delete(begin);
        signal.removeEventListener('abort', giveUp);
        resolve(isTurn);
      };
      const begin = (): void => {
        this.#running += 1;
        settle(true);
      };
      const giveUp = (): void => {
        settle(false);
      };
      this.#waiting.add(begin);
      signal.addEventListener('abort', giveUp);
    });
  }
}

function raceSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp);
    promise
      .finally(() => {
        signal.removeEventListener('abort', giveUp);
      })
      .then(resolve, reject);
  });
}
