import type { Clock } from '../clock.js';
import { dueAtMs, type Lease } from '../domain/lease.js';
import { isSilent, RETENTION_MS } from '../domain/membrane-node.js';
import { decideSweep } from '../domain/retention.js';
import { decideTransition, type TransitionCommand } from '../domain/transition.js';
import type { CommandQueue } from './command-queue.js';
import type { RegistryState } from './registry-state.js';
import type { SelfPreservation } from './self-preservation.js';

/** Leases looked at before other work gets its turn: most have only to be looked at again later. */
const SLICE_LOOKS = 2_000;
/** Ends decided in a turn. */
const SLICE_ENDS = 200;
const SLICE_SWEEPS = 500;
/** How often a store that failed is tried. */
const PROBE_INTERVAL_MS = 1_000;

export interface LeaseTickerOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  readonly tickMs: number;
  readonly isStoreWritable: () => boolean;
  readonly preservation: SelfPreservation;
  /** What else is to be done every tick while the store can write. */
  readonly sweepOthers: () => Promise<void>;
  /** A tick failed for a reason nobody thought of. */
  readonly onError: (error: unknown) => void;
}

/**
 * What time does: every tick the leases that have been silent too long become unhealthy or end, and what was
 * remembered long enough is forgotten. Nothing is decided while the store cannot write.
 */
export class LeaseTicker {
  readonly #options: LeaseTickerOptions;
  readonly #recovering = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> | undefined;
  #probedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LeaseTickerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#ticking ??= this.tick()
        .catch(this.#options.onError)
        .finally(() => {
          this.#ticking = undefined;
        });
    }, this.#options.tickMs);
  }

  /** Resolves when the tick that runs, if any, is over. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#ticking;
  }

  /** One tick; `start` calls it in time. */
  async tick(): Promise<void> {
    const { state, clock } = this.#options;
    // The clock first, so that a stall is noticed before anything is due by it; then requests that waited meanwhile
    // are read, which may hold the renewals of those that would be.
    state.leaseNowMs();
    state.syncWall();
    await new Promise(setImmediate);
    if (!this.#options.isStoreWritable()) {
      await this.#probeStore();
      return;
    }
    await this.#endSilent(await this.#findSilent());
    const sweeps = state.retention.take(clock.wallMs(), SLICE_SWEEPS);
    await Promise.all([
      ...sweeps.map((command) => this.#sweep(command)),
      this.#options.preservation.sweep(),
      this.#options.sweepOthers(),
    ]);
  }

  /** The lease renewed after silence that made it unhealthy: commits that it recovered. Once at a time a lease. */
  recover(namespace: string, id: string, instanceId: string): void {
    const key = `${namespace}/${id}/${instanceId}`;
    const lease = this.#options.state.leases.get(namespace, id, instanceId);
    if (lease === undefined || this.#recovering.has(key)) return;
    this.#recovering.add(key);
    const { incarnation } = lease.instance;
    this.#submit({ event: 'recovered', namespace, id, instanceId, incarnation })
      // Where it cannot be stored now, the next renewal tries again.
      .catch(() => undefined)
      .finally(() => {
        this.#recovering.delete(key);
      });
  }

  /** Those that have become silent are unhealthy from now on; returns those that are due to end. */
  async #findSilent(): Promise<Lease[]> {
    const { state } = this.#options;
    const overdue: Lease[] = [];
    // What becomes due meanwhile is for the next tick: this one has an end, however slow its turns are.
    const nowMs = state.leaseNowMs();
    for (let done = false; !done && this.#options.isStoreWritable();) {
      const slice = state.leases.advance(nowMs, SLICE_LOOKS);
      done = slice.done;
      const fresh: Lease[] = [];
      for (const lease of slice.due) (isSilent(lease.instance) ? overdue : fresh).push(lease);
      await Promise.all(fresh.map((lease) => this.#decideSilence(lease)));
      if (!done) await new Promise(setImmediate);
    }
    return overdue;
  }

  /** Last, since who is kept depends on how many are silent: after an outage of the store all become so in one tick. */
  async #endSilent(overdue: readonly Lease[]): Promise<void> {
    const { state, preservation, isStoreWritable } = this.#options;
    for (let start = 0; start < overdue.length; start += SLICE_ENDS) {
      if (start > 0) await new Promise(setImmediate);
      const ending: Lease[] = [];
      const nowMs = state.leaseNowMs();
      for (const lease of overdue.slice(start, start + SLICE_ENDS)) {
        const isDue = isStoreWritable() && state.leases.isCurrent(lease) && dueAtMs(lease) <= nowMs;
        if (!isDue) state.leases.restore(lease);
        // Back and silent again since: that comes first.
        else if (!isSilent(lease.instance) || !preservation.keep(lease, nowMs)) ending.push(lease);
      }
      await Promise.all(ending.map((lease) => this.#decideSilence(lease)));
    }
  }

  async #decideSilence(lease: Lease): Promise<void> {
    const { state, queue, clock } = this.#options;
    const { namespace, id, instance } = lease;
    const { instanceId, incarnation } = instance;
    const event = isSilent(instance) ? 'expired' : 'unhealthy';
    try {
      const { revision } = await queue.submit({
        namespace,
        id,
        decide: (view) => {
          // It may have renewed since it was found due.
          if (dueAtMs(lease) > state.leaseNowMs()) return { kind: 'unchanged', outcome: undefined };
          lease.ending = event === 'expired';
          return decideTransition(view, { event, namespace, id, instanceId, incarnation }, clock.wallMs());
        },
      });
      if (revision === undefined) state.leases.restore(lease);
    } catch {
      // Not stored, so not decided: it holds until the store writes again, and may still be renewed.
      state.leases.restore(lease);
    }
  }

  async #submit(command: TransitionCommand): Promise<void> {
    const { queue, clock } = this.#options;
    await queue.submit({
      namespace: command.namespace,
      id: command.id,
      decide: (view) => decideTransition(view, command, clock.wallMs()),
    });
  }

  async #sweep(command: { namespace: string; id: string }): Promise<void> {
    const { state, queue, clock } = this.#options;
    const isStored = await queue
      .submit({ ...command, decide: (view) => decideSweep(view, command, clock.wallMs()) })
      .then(
        () => true,
        () => false,
      );
    // What could not go, for its children or for the store, is looked at again a day later. A node that became vacant
    // since has an item of its own.
    const nowMs = clock.wallMs();
    const vacantSinceMs = state.directory.node(command.namespace, command.id)?.vacantSinceMs ?? nowMs;
    if (!isStored || nowMs - vacantSinceMs >= RETENTION_MS) state.retention.add(command, nowMs);
  }

  async #probeStore(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#probedAtMs < PROBE_INTERVAL_MS) return;
    this.#probedAtMs = nowMs;
    await this.#options.queue.probe();
  }
}
