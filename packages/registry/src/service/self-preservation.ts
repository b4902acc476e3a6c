import type { Clock } from '../clock.js';
import type { SubtreeLeases } from '../domain/count-entry.js';
import type { Lease } from '../domain/lease.js';
import { decideKeeping, decidePreservation, isPreserving } from '../domain/preservation.js';
import type { Subtree } from '../domain/preserved-subtrees.js';
import type { CommandQueue } from './command-queue.js';
import type { RegistryState } from './registry-state.js';

/** Beginnings and ends written down in one tick. */
const SLICE_SUBTREES = 500;
/** How long a subtree must be calm until its preservation ends: this many intervals of its slowest lease, ... */
const CALM_INTERVALS = 2;
/** ... but no longer than this, and for so long where that is not known. */
const MAX_CALM_MS = 60_000;

export interface SelfPreservationOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  /** False: nobody is kept beyond its end. */
  readonly isEnabled: boolean;
}

/** What is known of a preserved subtree beside that it is one. */
interface Course {
  readonly subtree: Subtree;
  /** The longest interval of the leases that were kept in it. Undefined where that is not known, after a restart. */
  slowestMs: number | undefined;
  /** Since when it would not be preserved; lease clock. Undefined while it would. */
  calmSinceMs: number | undefined;
}

const keyOf = ({ namespace, id }: Subtree): string => `${namespace}/${id}`;

/**
 * Keeps leases beyond their end where most of a subtree is silent, and writes down where that begins and ends.
 *
 * It begins with the first lease that would be gone without it: a short silence of many begins nothing. It ends when the
 * rule does not hold any more and nobody is left who was kept, for two intervals. So numbers that waver around the
 * threshold make no events, only leases that reach their end do; and no more than one pair in that time.
 */
export class SelfPreservation {
  readonly #options: SelfPreservationOptions;
  /** Of subtrees that are preserved, or are to be. */
  readonly #courses = new Map<string, Course>();
  /** For which a lease was kept since the last sweep, and the longest interval of those. */
  readonly #keeping = new Map<SubtreeLeases, { readonly namespace: string; readonly slowestMs: number }>();

  constructor(options: SelfPreservationOptions) {
    this.#options = options;
  }

  get isEnabled(): boolean {
    return this.#options.isEnabled;
  }

  /** Whether a lease that is due to end is kept; then it is back in the lease table. */
  keep(lease: Lease, nowMs: number): boolean {
    const { state, isEnabled } = this.#options;
    const { namespace, id, instance } = lease;
    const preserving = isEnabled ? state.leaseCounts.above(namespace, id).filter(isPreserving) : [];
    const keeping = decideKeeping(lease, preserving.length > 0, nowMs);
    if (keeping === undefined) return false;
    state.keep(lease, keeping);
    for (const subtree of preserving) {
      const slowestMs = this.#keeping.get(subtree)?.slowestMs ?? 0;
      if (instance.heartbeatIntervalMs <= slowestMs) continue;
      this.#keeping.set(subtree, { namespace, slowestMs: instance.heartbeatIntervalMs });
    }
    return true;
  }

  /** Writes down what begins and what ends. To be called every tick, while the store can write. */
  async sweep(): Promise<void> {
    const { state } = this.#options;
    for (const [{ id }, { namespace, slowestMs }] of this.#keeping) {
      const course = this.#courseOf({ namespace, id });
      course.slowestMs = Math.max(course.slowestMs ?? 0, slowestMs);
    }
    this.#keeping.clear();
    // After a restart, those that the store has told of.
    for (const { namespace, id } of state.preserved) this.#courseOf({ namespace, id });
    const nowMs = state.leaseNowMs();
    const writes: Promise<void>[] = [];
    for (const [key, course] of this.#courses) {
      if (writes.length === SLICE_SUBTREES) break;
      const isOver = this.#calmedMs(course, nowMs) >= this.#calmMs(course);
      if (state.preserved.has(course.subtree)) {
        if (isOver) writes.push(this.#write('preservation_ended', course.subtree));
      } else if (course.calmSinceMs === undefined) {
        writes.push(this.#write('preservation_started', course.subtree));
      } else {
        this.#courses.delete(key);
      }
    }
    await Promise.all(writes);
  }

  /** How long nothing has been preserved there any more; -1 while something is. */
  #calmedMs(course: Course, nowMs: number): number {
    const { state, isEnabled } = this.#options;
    const leases = state.leaseCounts.of(course.subtree.namespace, course.subtree.id);
    if (isEnabled && (isPreserving(leases) || leases.held > 0)) {
      course.calmSinceMs = undefined;
      return -1;
    }
    course.calmSinceMs ??= nowMs;
    return nowMs - course.calmSinceMs;
  }

  #calmMs({ slowestMs }: Course): number {
    if (!this.#options.isEnabled) return 0;
    return slowestMs === undefined ? MAX_CALM_MS : Math.min(CALM_INTERVALS * slowestMs, MAX_CALM_MS);
  }

  #courseOf(subtree: Subtree): Course {
    const key = keyOf(subtree);
    let course = this.#courses.get(key);
    if (course === undefined) {
      course = { subtree, slowestMs: undefined, calmSinceMs: undefined };
      this.#courses.set(key, course);
    }
    return course;
  }

  async #write(event: 'preservation_started' | 'preservation_ended', subtree: Subtree): Promise<void> {
    const { state, queue, clock } = this.#options;
    const { namespace, id } = subtree;
    await queue
      .submit({
        namespace,
        id,
        decide: (view) =>
          decidePreservation(view, event, subtree, state.leaseCounts.of(namespace, id), clock.wallMs()),
      })
      // Not stored: the next tick tries again.
      .catch(() => undefined);
  }
}
