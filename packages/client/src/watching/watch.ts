import {
  fromWire,
  isMembraneError,
  type CamelCased,
  type MembraneError,
  type MembraneEvent,
} from '@membrane/protocol';
import type { Readable } from 'node:stream';
import { backoffMs, MAX_BACKOFF_MS } from '../backoff.js';
import type { Clock } from '../clock.js';
import { toMembraneError } from '../to-membrane-error.js';
import { readEvents } from './read-events.js';

/** What is watched: all of the namespace, a membrane with what is below it, or some ids. */
export interface WatchFilter {
  /** Only this membrane and what is below it. Not with `ids`. */
  subtree?: string | undefined;
  /** Only these, at most 100; they need not be there yet. */
  ids?: readonly string[] | undefined;
}

/** A change of one membrane. All changes of one `revision` come together. */
export type MembraneChange = CamelCased<MembraneEvent>;

/**
 * Something was missed, and the state must be read anew: `too_old` (away for longer than the registry's log goes back),
 * `too_slow` (this program did not read what waited for it), `other_log` (another registry, or one that lost its store).
 */
export interface WatchReset {
  readonly event: 'reset';
  readonly revision: number;
  readonly reason: string;
}

export type WatchedEvent = MembraneChange | WatchReset;

/** Everything up to a revision was told: where the watch would go on. */
export interface WatchPosition {
  readonly event: 'position';
  /** `LOG:REVISION` */
  readonly since: string;
}

export interface WatchParts {
  /** Opens the stream of a registry. */
  readonly open: (query: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Readable>;
  readonly clock: Clock;
  readonly random: () => number;
  /** The stream is open. */
  readonly onOpen?: (() => void) | undefined;
  /** A try failed, and it goes on trying. */
  readonly onFailure?: ((error: MembraneError) => void) | undefined;
}

export interface WatchRequest extends WatchFilter {
  /** `LOG:REVISION`, or a revision alone; from now on unless given. */
  readonly since?: string | undefined;
  readonly signal: AbortSignal;
}

/** These do not pass by themselves. */
const FINAL_CODES = new Set<string>([
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'not_found',
  'client_closed',
]);

/**
 * Follows the changes of a registry through lost connections and restarts: each comes once, in order of the revisions,
 * whole revisions at a time, for it goes on after the last one that came whole. Ends with the signal.
 * @throws MembraneError for what does not pass by itself, such as `invalid_request`.
 */
export async function* watchChanges(
  parts: WatchParts,
  { subtree, ids, since: start, signal }: WatchRequest,
): AsyncGenerator<WatchedEvent | WatchPosition> {
  const filter = {
    ...(subtree === undefined ? {} : { subtree }),
    ...(ids === undefined ? {} : { ids: ids.join(',') }),
  };
  let since = start;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const body = await parts.open({ ...filter, ...(since === undefined ? {} : { since }) }, signal);
      parts.onOpen?.();
      let changes: MembraneChange[] = [];
      for await (const { event, id, data } of readEvents(body, parts.clock)) {
        failures = 0;
        const value = fromWire(JSON.parse(data)) as WatchedEvent;
        if (event === 'reset') {
          changes = [];
          since = id ?? since;
          yield value;
        } else if (event !== 'bookmark') {
          changes.push(value as MembraneChange);
        }
        if (id === undefined) continue;
        // Before they are handed out: who leaves in the midst of them has had them.
        since = id;
        yield* withoutRepeats(changes.splice(0), subtree);
        yield { event: 'position', since };
      }
    } catch (cause) {
      if (isEnded(signal)) return;
      const error = toMembraneError(cause);
      if (!isMembraneError(cause) || FINAL_CODES.has(error.code)) throw error;
      parts.onFailure?.(error);
      failures += 1;
      const { retryAfterMs } = error.details;
      const delayMs = backoffMs({ failures, intervalMs: MAX_BACKOFF_MS, retryAfterMs }, parts.random);
      await pause(parts.clock, delayMs, signal);
    }
  }
}

/**
 * What comes into a subtree is told by its own change, and once more with those that come along: unless it has left
 * between the two.
 */
function withoutRepeats(
  changes: readonly MembraneChange[],
  subtree: string | undefined,
): readonly MembraneChange[] {
  if (subtree === undefined) return changes;
  /** Ids and ancestors of those that are told, by what tells one state of an instance from the others. */
  const told = new Map<string, readonly string[]>();
  return changes.filter(({ event, id, instanceId, record, before, after }) => {
    const name = `${id}/${instanceId}/${record?.revision ?? ''}`;
    if (event === 'moved' && before === undefined && told.has(name)) return false;
    const ancestors = after?.ancestors ?? [];
    if (id === subtree || ancestors.includes(subtree)) told.set(name, [id, ...ancestors]);
    else if (after !== undefined) {
      for (const [other, place] of told) if (place.includes(id)) told.delete(other);
    }
    return true;
  });
}

/** Read anew: it changes while others wait. */
function isEnded(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Ends early by the signal, without an error. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(end, delayMs);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
}
