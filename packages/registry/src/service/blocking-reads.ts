import { invalidRequest, MembraneError } from '@membrane/protocol';
import type { Clock } from '../clock.js';
import type { Change } from '../domain/change.js';
import type { Scope } from '../domain/change-scopes.js';
import type { RegistryState } from './registry-state.js';
import type { ShownRevision } from './revision-log.js';
import { RevisionWaiters } from './revision-waiters.js';
import { ScopeWaiters } from './scope-waiters.js';
import type { WorkSlices } from './work-slices.js';

/** Reads that may wait at a time; each has a connection, which takes more than its place here. */
const MAX_BLOCKING_READS = 250_000;
const FULL_RETRY_MS = 5_000;
/** A wait ends at a random time in the last part of it, so that those who began together do not end together. */
const JITTER = 1 / 16;

/** What a read waits for before it is answered. */
export interface BlockingRead {
  readonly scope: Scope;
  readonly since: ShownRevision | undefined;
  readonly waitMs: number;
  readonly minRevision: ShownRevision | undefined;
  /** True where there is nothing to answer with, so that it waits also without `since`. */
  readonly isMissing: () => boolean;
}

export interface BlockingReadsOptions {
  readonly state: RegistryState;
  readonly clock: Clock;
  readonly work: WorkSlices;
  /** Gives 0 to 1. */
  readonly random: () => number;
}

/** Reads that wait for something to change. */
export class BlockingReads {
  readonly #options: BlockingReadsOptions;
  readonly #revisions: RevisionWaiters;
  readonly #scopes: ScopeWaiters;
  #isStopped = false;

  constructor(options: BlockingReadsOptions) {
    this.#options = options;
    this.#revisions = new RevisionWaiters(options.work);
    this.#scopes = new ScopeWaiters(options.work);
  }

  get size(): number {
    return this.#revisions.size + this.#scopes.size;
  }

  /**
   * Tells once that the read is to be answered now, at once or later, or why it cannot be; never where `signal`
   * aborts before.
   * @throws MembraneError `invalid_request` for a `min_revision` of another log.
   */
  wait(read: BlockingRead, signal: AbortSignal, tell: (error?: MembraneError) => void): void {
    const { minRevision, since } = read;
    const { state } = this.#options;
    if (minRevision !== undefined && !state.owns(minRevision)) {
      const message = `must be a revision of this registry's log, ${state.logId}; got one of ${String(minRevision.logId)}`;
      throw invalidRequest([{ path: 'min_revision', message }], 'query');
    }
    // Who has seen a later state than this one must not be told an earlier.
    const seen = since !== undefined && state.owns(since) ? since.revision : 0;
    this.whenAt(Math.max(minRevision?.revision ?? 0, seen), signal, (error) => {
      if (error !== undefined) tell(error);
      else this.#waitForChange(read, this.#endMs(read.waitMs), signal, tell);
    });
  }

  /** Tells when this registry has the revision, at once where it has, or why not: it did not come within 5 s. */
  whenAt(revision: number, signal: AbortSignal, tell: (error?: MembraneError) => void): void {
    if (revision <= this.#options.state.revision) {
      tell();
      return;
    }
    const lack = this.#findLack();
    if (lack === undefined) this.#revisions.wait(revision, signal, tell);
    else tell(lack);
  }

  /** A change was applied. */
  noteChange({ events }: Change, revision: number): void {
    this.#scopes.noteEvents(events);
    this.#revisions.noteRevision(revision);
  }

  /** Lets everybody go, and nobody wait. */
  stop(): void {
    this.#isStopped = true;
    this.#revisions.stop();
    this.#scopes.stop();
  }

  #waitForChange(
    read: BlockingRead,
    endMs: number,
    signal: AbortSignal,
    tell: (error?: MembraneError) => void,
  ): void {
    const waitMs = Math.ceil(endMs - this.#options.clock.monotonicMs());
    if (waitMs <= 0 || this.#isStopped || !this.#mustWait(read)) {
      tell();
      return;
    }
    const lack = this.#findLack();
    if (lack !== undefined) {
      tell(lack);
      return;
    }
    this.#scopes.wait(read.scope, waitMs, signal, () => {
      // What it waits for without `since` may have come and gone.
      if (read.since === undefined) this.#waitForChange(read, endMs, signal, tell);
      else tell();
    });
  }

  #mustWait({ scope, since, isMissing }: BlockingRead): boolean {
    if (since === undefined) return isMissing();
    const { state } = this.#options;
    return state.owns(since) && !state.marks.isChangedSince(scope, since.revision);
  }

  #endMs(waitMs: number): number {
    const { clock, random } = this.#options;
    return clock.monotonicMs() + waitMs * (1 - JITTER * random());
  }

  #findLack(): MembraneError | undefined {
    if (this.size < MAX_BLOCKING_READS) return undefined;
    return new MembraneError('rate_limited', `${MAX_BLOCKING_READS} reads wait already`, {
      details: { retryAfterMs: FULL_RETRY_MS },
    });
  }
}
