import { MembraneError, parseRevisionText } from '@membrane/protocol';
import { waitWithSignal } from '../abort.js';
import type { Clock } from '../clock.js';
import type { ListFilter, Membrane } from '../registry-api.js';
import type { FoundMembrane } from '../resolver.js';
import { ReplicaTable } from './replica-table.js';
import type { WatchedEvent, WatchPosition } from './watch.js';

/** Before the next snapshot, where one could not be read. */
const RETRY_MS = 1_000;

export interface Snapshot {
  /** `LOG:REVISION` of the first page. */
  readonly revision: string;
  readonly pages: AsyncIterable<readonly Membrane[]>;
}

export interface MembraneReplicaParts {
  /** The id whose subtree it holds; undefined for the namespace. */
  readonly subtree: string | undefined;
  readonly snapshot: (signal: AbortSignal) => Promise<Snapshot>;
  /** Ends with the signal only, or by an error that does not pass. */
  readonly watch: (since: string, signal: AbortSignal) => AsyncIterable<WatchedEvent | WatchPosition>;
  readonly clock: Clock;
  /** It cannot be kept up, and why; it serves what it has, as stale, and goes on trying. */
  readonly onFailure: (error: unknown) => void;
}

export interface ReplicaStatus {
  /** False until it has been read once as a whole: then nothing is served from it. */
  readonly isComplete: boolean;
  /** Ids that it holds. */
  readonly size: number;
  /** `LOG:REVISION` up to which it is known. */
  readonly revision: string | undefined;
  /** Time since it is known to have been right, in milliseconds: 0 while it follows the registry. */
  readonly ageMs: number;
}

/**
 * Holds the membranes of a namespace, or of a subtree, as the registry has them: reads them once, and follows every
 * change from there. Serves what it has while no registry answers, and says how old that is. What it holds is replaced
 * only by another snapshot that was read to its end.
 */
export class MembraneReplica {
  readonly #parts: MembraneReplicaParts;
  readonly #ended = new AbortController();
  readonly #waiting = new Set<() => void>();
  #table: ReplicaTable | undefined;
  #revision: string | undefined;
  /** Of a change that this client made itself. */
  #ownChange = 0;
  /** Undefined while it follows. */
  #staleSinceMs: number | undefined;
  #running: Promise<void> | undefined;

  constructor(parts: MembraneReplicaParts) {
    this.#parts = parts;
    this.#staleSinceMs = parts.clock.monotonicMs();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#ended.abort(new MembraneError('client_closed', 'this client was closed'));
    await this.#running;
  }

  /** Tells that no registry answers, or that one does again. */
  noteConnection(isConnected: boolean): void {
    if (isConnected) this.#staleSinceMs = this.#table === undefined ? this.#staleSinceMs : undefined;
    else this.#staleSinceMs ??= this.#parts.clock.monotonicMs();
  }

  /**
   * Resolves when it has been read once.
   * @throws MembraneError `client_closed`; the reason of the signal.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    if (this.#table !== undefined) return;
    let end = (): void => undefined;
    const isRead = new Promise<void>((resolve) => (end = resolve));
    this.#waiting.add(end);
    const ended = this.#ended.signal;
    try {
      await waitWithSignal(isRead, signal === undefined ? ended : AbortSignal.any([signal, ended]));
    } finally {
      this.#waiting.delete(end);
    }
  }

  /** This client has changed something itself, with that revision. */
  noteOwnChange(revision: number): void {
    this.#ownChange = Math.max(this.#ownChange, revision);
  }

  /** True where it has not yet what this client has changed itself. */
  get isBehind(): boolean {
    if (this.#ownChange === 0 || this.#revision === undefined) return false;
    if (parseRevisionText(this.#revision).revision < this.#ownChange) return true;
    this.#ownChange = 0;
    return false;
  }

  /**
   * What is known of an id, at once. `unknown` where it cannot tell: it is not complete, the id may be outside of its
   * subtree, or it is stale and cannot know who came since.
   */
  get(id: string): FoundMembrane | 'absent' | 'unknown' {
    const found = this.#table?.get(id);
    if (found !== undefined) return this.#staleSinceMs === undefined ? found : { ...found, isStale: true };
    const canTell = this.#table !== undefined && this.#staleSinceMs === undefined;
    return canTell && this.#parts.subtree === undefined ? 'absent' : 'unknown';
  }

  /** Those that fit, oldest id first; undefined where it cannot tell. */
  list(filter: ListFilter): Membrane[] | undefined {
    return this.#parts.subtree === undefined ? this.#table?.list(filter) : undefined;
  }

  get status(): ReplicaStatus {
    return {
      isComplete: this.#table !== undefined,
      size: this.#table?.size ?? 0,
      revision: this.#revision,
      ageMs: this.#staleSinceMs === undefined ? 0 : this.#parts.clock.monotonicMs() - this.#staleSinceMs,
    };
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        const since = await this.#read(signal);
        await this.#follow(since, signal);
      } catch (error) {
        this.noteConnection(false);
        if (isAborted(signal)) return;
        this.#parts.onFailure(error);
        await this.#pause();
      }
    }
  }

  /** A new table, in the place of the old one when it is whole. */
  async #read(signal: AbortSignal): Promise<string> {
    const { revision, pages } = await this.#parts.snapshot(signal);
    const table = new ReplicaTable(this.#parts.subtree);
    for await (const page of pages) for (const record of page) table.load(record);
    table.endLoad();
    this.#table = table;
    if (logOf(revision) !== logOf(this.#revision)) this.#ownChange = 0;
    this.#revision = revision;
    this.#staleSinceMs = undefined;
    for (const end of [...this.#waiting]) end();
    return revision;
  }

  /** Returns when it has missed something. */
  async #follow(since: string, signal: AbortSignal): Promise<void> {
    for await (const event of this.#parts.watch(since, signal)) {
      if (event.event === 'reset') {
        this.noteConnection(false);
        return;
      }
      this.#staleSinceMs = undefined;
      if (event.event === 'position') this.#revision = event.since;
      else if (this.#table?.apply(event) === false) {
        this.noteConnection(false);
        return;
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#ended.signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.#parts.clock.setTimer(end, RETRY_MS);
      this.#ended.signal.addEventListener('abort', end, { once: true });
    });
  }
}

function logOf(revision: string | undefined): string | undefined {
  return revision === undefined ? undefined : parseRevisionText(revision).logId;
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
