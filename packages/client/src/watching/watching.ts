import type { MembraneError } from '@membrane/protocol';
import { systemClock } from '../clock.js';
import { ProcessHold } from '../process-hold.js';
import type { RegistryApi } from '../registry-api.js';
import { tellsOfAbsence } from '../resolver.js';
import { toMembraneError } from '../to-membrane-error.js';
import { MembraneReplica } from './membrane-replica.js';
import { watchChanges, type WatchedEvent, type WatchFilter, type WatchPosition } from './watch.js';

export interface WatchOptions extends WatchFilter {
  /** `LOG:REVISION`, or a revision alone, after which it begins; from now on unless given. */
  since?: string | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
  /** Called when a registry tells of changes: at the beginning, and again after each failure. */
  onOpen?: (() => void) | undefined;
  /** Called when it cannot be heard, or no more, with the reason; the watch goes on trying. */
  onFailure?: ((error: MembraneError) => void) | undefined;
}

export interface WatchingParts {
  readonly api: RegistryApi;
  /** Its calls let the process end. */
  readonly background: RegistryApi;
  /** False: no replica. A text: the id whose subtree it holds. */
  readonly replica: boolean | string;
  readonly onFailure: (error: MembraneError) => void;
}

/** The composition root of what follows the changes of a registry. */
export class Watching {
  readonly replica: MembraneReplica | undefined;
  readonly #parts: WatchingParts;
  readonly #closed = new AbortController();
  /** While somebody waits: no timer or socket of what is awaited keeps the process alive. */
  readonly #hold = new ProcessHold();

  constructor(parts: WatchingParts) {
    this.#parts = parts;
    if (parts.replica !== false) {
      this.replica = this.#makeReplica(parts.replica === true ? undefined : parts.replica);
      this.replica.start();
    }
  }

  /** Ends with the signal, or `close()`. */
  async *changes(options: WatchOptions): AsyncGenerator<WatchedEvent> {
    const { signal, onOpen, onFailure, ...request } = options;
    const { api } = this.#parts;
    const ended = this.#closed.signal;
    const events = watchChanges(
      {
        open: (query, limit) => api.openWatch(query, { signal: limit }),
        clock: systemClock,
        random: Math.random,
        onOpen,
        onFailure,
      },
      { ...request, signal: signal === undefined ? ended : AbortSignal.any([ended, signal]) },
    );
    this.#hold.add();
    try {
      for await (const event of events) if (event.event !== 'position') yield event;
    } finally {
      this.#hold.remove();
    }
  }

  /**
   * Resolves when the replica has been read once.
   * @throws MembraneError `client_closed`; the reason of the signal.
   */
  async replicaReady(signal: AbortSignal | undefined): Promise<void> {
    this.#hold.add();
    try {
      await this.replica?.ready(signal);
    } finally {
      this.#hold.remove();
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.replica?.stop();
  }

  #makeReplica(subtree: string | undefined): MembraneReplica {
    const { background, onFailure } = this.#parts;
    const watch = (since: string, signal: AbortSignal): AsyncIterable<WatchedEvent | WatchPosition> =>
      watchChanges(
        {
          open: (query, limit) => background.openWatch(query, { signal: limit }),
          clock: systemClock,
          random: Math.random,
          onFailure: (error) => {
            if (tellsOfAbsence(error)) replica.noteConnection(false);
            else {
              replica.noteRefusal();
              onFailure(error);
            }
          },
        },
        { subtree, since, signal },
      );
    const replica = new MembraneReplica({
      subtree,
      snapshot: (signal) => background.snapshot(subtree === undefined ? {} : { subtree }, { signal }),
      watch,
      clock: systemClock,
      random: Math.random,
      onFailure: (error) => {
        onFailure(toMembraneError(error));
      },
    });
    return replica;
  }
}
