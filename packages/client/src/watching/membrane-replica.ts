import { MembraneError, parseRevisionText } from '@membrane/protocol';
import { waitWithSignal } from '../abort.js';
import { backoffMs, MAX_BACKOFF_MS } from '../backoff.js';
import type { Clock } from '../clock.js';
import type { ListFilter, Membrane } from '../registry-api.js';
import type { FoundMembrane } from '../resolver.js';
import { ReplicaTable } from './replica-table.js';
import type { WatchedEvent, WatchPosition } from './watch.js';

/**
 * How long a change of this client is waited for. It comes within a moment, or not at all: a subtree is not told of what
 * is elsewhere, and some calls change nothing.
 */
const OWN_CHANGE_MS = 2_000;
/** A registry says something every 15 s; where it does not, it may be out of reach without a word. */
const MAX_QUIET_MS = 20_000;
/** A snapshot that served so long was no failure. */
const CALM_MS = 60_000;

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
  readonly random: () => number;
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
  /** Of a change that this client made itself, and until when it is waited for. */
  #ownChange = { revision: 0, untilMs: 0 };
  /** Undefined while it follows. */
  #brokenSinceMs: number | undefined;
  #heardAtMs = 0;
  #isRefused = false;
  #running: Promise<void> | undefined;

  constructor(parts: MembraneReplicaParts) {
    this.#parts = parts;
    this.#brokenSinceMs = parts.clock.monotonicMs();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#ended.abort(new MembraneError('client_closed', 'this client was closed'));
    await this.#running;
  }

  /** A registry answers, but not what changes: whoever wants to know something asks it. */
  noteRefusal(): void {
    this.noteConnection(false);
    this.#isRefused = true;
  }

  /** Tells that no registry answers, or that one does again. */
  noteConnection(isConnected: boolean): void {
    if (!isConnected) this.#brokenSinceMs ??= this.#parts.clock.monotonicMs();
    else if (this.#table !== undefined) this.#noteHeard();
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
    const untilMs = this.#parts.clock.monotonicMs() + OWN_CHANGE_MS;
    this.#ownChange = { revision: Math.max(this.#ownChange.revision, revision), untilMs };
  }

  /** True where it has not yet what this client has changed itself a moment ago. */
  get isBehind(): boolean {
    const { revision, untilMs } = this.#ownChange;
    if (revision === 0 || this.#revision === undefined) return false;
    const isPending = parseRevisionText(this.#revision).revision < revision;
    if (isPending && this.#parts.clock.monotonicMs() < untilMs) return true;
    this.#ownChange = { revision: 0, untilMs: 0 };
    return false;
  }

  /**
   * What is known of an id, at once. `unknown` where it cannot tell: it is not complete, the id may be outside of its
   * subtree, or is its top, whose parent it does not follow, or it is stale and cannot know who came since.
   */
  get(id: string): FoundMembrane | 'absent' | 'unknown' {
    if (id === this.#parts.subtree || this.#isRefused) return 'unknown';
    const found = this.#table?.get(id);
    const isStale = this.#ageMs > 0;
    if (found !== undefined) return isStale ? { ...found, isStale } : found;
    const canTell = this.#table !== undefined && !isStale;
    return canTell && this.#parts.subtree === undefined ? 'absent' : 'unknown';
  }

  /** What was known of an id last, for want of anything better. */
  last(id: string): FoundMembrane | undefined {
    const found = this.#table?.get(id);
    return found && { ...found, isStale: true };
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
      ageMs: this.#ageMs,
    };
  }

  #noteHeard(): void {
    this.#isRefused = false;
    this.#brokenSinceMs = undefined;
    this.#heardAtMs = this.#parts.clock.monotonicMs();
  }

  /** Time since it is known to have been right; 0 while the registry is heard as often as it should be. */
  get #ageMs(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#brokenSinceMs !== undefined) return Math.max(nowMs - this.#brokenSinceMs, Number.MIN_VALUE);
    return nowMs - this.#heardAtMs > MAX_QUIET_MS ? nowMs - this.#heardAtMs : 0;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#ended;
    const { clock, onFailure, random } = this.#parts;
    let failures = 0;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      let failure: unknown;
      try {
        const missed = await this.#follow(await this.#read(signal), signal);
        // Once is no failure.
        if (failures > 0 && clock.monotonicMs() - startMs < CALM_MS) failure = missedAgain(missed);
      } catch (error) {
        failure = error;
      }
      this.noteConnection(false);
      if (isAborted(signal)) return;
      if (failure !== undefined) onFailure(failure);
      failures = clock.monotonicMs() - startMs < CALM_MS ? failures + 1 : 1;
      // All who were reset together must not read everything at one moment.
      const input = { failures, intervalMs: MAX_BACKOFF_MS, retryAfterMs: undefined };
      await this.#pause(backoffMs(input, random));
    }
  }

  /** A new table, in the place of the old one when it is whole. */
  async #read(signal: AbortSignal): Promise<string> {
    const { revision, pages } = await this.#parts.snapshot(signal);
    const table = new ReplicaTable(this.#parts.subtree);
    for await (const page of pages) for (const record of page) table.load(record);
    table.endLoad();
    this.#table = table;
    this.#revision = revision;
    this.#noteHeard();
    for (const end of [...this.#waiting]) end();
    return revision;
  }

  /** Returns when it has missed something, with what that was. */
  async #follow(since: string, signal: AbortSignal): Promise<string> {
    for await (const event of this.#parts.watch(since, signal)) {
      if (event.event === 'reset') return event.reason;
      this.#noteHeard();
      if (event.event === 'position') this.#revision = event.since;
      else if (this.#table?.apply(event) === false) return 'what left the subtree is not known';
    }
    return 'the watch ended';
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#ended.signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.#parts.clock.setTimer(end, delayMs);
      this.#ended.signal.addEventListener('abort', end, { once: true });
    });
  }
}

function missedAgain(reason: string): MembraneError {
  return new MembraneError(
    'registry_unreachable',
    `changes were missed again as soon as all had been read: ${reason}`,
  );
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
