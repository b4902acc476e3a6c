import type { RegistryStatus } from '@membrane/protocol';
import type { Clock } from '../clock.js';
import type { Change } from '../domain/change.js';
import { BlockingReads } from './blocking-reads.js';
import type { RegistryState } from './registry-state.js';
import { WatchHub, type WatchPace } from './watch-hub.js';
import { WorkSlices } from './work-slices.js';

export interface WatchingOptions {
  readonly state: RegistryState;
  readonly clock: Clock;
  /** Gives 0 to 1. */
  readonly random: () => number;
  readonly maxStreams: number;
  readonly maxBufferBytes: number;
  readonly maxTotalBufferBytes: number;
  readonly pace: Partial<WatchPace> | undefined;
  /** Telling somebody failed for a reason nobody thought of. */
  readonly onError: (error: unknown) => void;
}

/** Everybody who is told of changes: those who watch, and the reads that wait. */
export class Watching {
  readonly hub: WatchHub;
  readonly reads: BlockingReads;

  constructor({ onError, ...options }: WatchingOptions) {
    const work = new WorkSlices({ nowMs: () => performance.now(), onError });
    this.reads = new BlockingReads({ ...options, work });
    this.hub = new WatchHub({ ...options, work });
  }

  /** A change was applied. */
  noteChange(change: Change, revision: number): void {
    this.hub.noteChange(change, revision);
    this.reads.noteChange(change, revision);
  }

  /** Lets everybody go. */
  stop(): void {
    this.reads.stop();
    this.hub.stop();
  }

  describe(): RegistryStatus['watch'] {
    return { streams: this.hub.size, blocking_reads: this.reads.size };
  }
}
