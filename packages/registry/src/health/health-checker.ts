import { setMaxListeners } from 'node:events';
import type { RegistryStatus } from '@membrane/protocol';
import type { Clock } from '../clock.js';
import type { Change } from '../domain/change.js';
import { DeadlineHeap } from '../domain/deadline-heap.js';
import { decideHealthCheck } from '../domain/health.js';
import { leaseKey } from '../domain/lease.js';
import type { Instance } from '../domain/membrane-node.js';
import type { CommandQueue } from '../service/command-queue.js';
import type { RegistryState } from '../service/registry-state.js';
import type { ProbeOutcome } from './prober.js';

/** How often it looks for checks that are due. */
const TICK_MS = 100;
/** By how much the time between two checks of one varies, so that those that began together do not stay together. */
const JITTER = 0.1;

/** A registration with a URL. Another registration of the instance, and another URL, is another target. */
export interface HealthCheckTarget {
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
  readonly incarnation: number;
  readonly url: string;
}

export interface HealthCheckPace {
  /** Between the beginnings of two checks of one instance. */
  readonly intervalMs: number;
  /** Checks in a row that must fail, or pass, before that counts. */
  readonly failureThreshold: number;
  readonly successThreshold: number;
  readonly maxConcurrent: number;
}

export interface HealthCheckerOptions extends HealthCheckPace {
  /** Where it is off, it only takes back what was found while it was on. */
  readonly isOn: boolean;
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  readonly probe: (url: string, signal: AbortSignal) => Promise<ProbeOutcome>;
  readonly isStoreWritable: () => boolean;
  /** Told of every check that was refused. */
  readonly onRefused: (target: HealthCheckTarget, reason: string) => void;
  /** A check failed for a reason nobody thought of. */
  readonly onError: (error: unknown) => void;
}

interface Target extends HealthCheckTarget {
  readonly key: string;
  /** In a row, of what would change something. */
  failures: number;
  passes: number;
}

/** Nodes looked at between two turns of the event loop at the start. */
const START_SLICE = 5_000;

/**
 * Asks the health check URLs of all instances, each once an interval, and commits what several answers in a row come
 * to. It renews no lease. What it costs goes with the checks that are due, not with the instances there are.
 */
export class HealthChecker {
  readonly #options: HealthCheckerOptions;
  readonly #targets = new Map<string, Target>();
  readonly #due = new DeadlineHeap<Target>();
  readonly #failing = new Set<Target>();
  readonly #refused = new Set<Target>();
  readonly #running = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #starting: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HealthCheckerOptions) {
    this.#options = options;
    setMaxListeners(0, this.#abort.signal);
  }

  /** To be called when the state has been loaded. Resolves when all of it has been looked at. */
  start(): Promise<void> {
    return (this.#starting ??= this.#start());
  }

  /** Resolves when nothing runs and no connection is left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort();
    await Promise.all(this.#running);
  }

  /** To be called when a change has been applied. */
  noteChange({ nodes }: Change): void {
    if (!this.#options.isOn && this.#targets.size === 0) return;
    for (const { before, after } of nodes) {
      const node = after ?? before;
      if (node === undefined) continue;
      const { namespace, id } = node;
      const unchanged = new Set(before?.instances);
      const present = this.#options.state.directory.node(namespace, id)?.instances ?? [];
      const kept = new Set(present.map(({ instanceId }) => instanceId));
      for (const { instanceId } of before?.instances ?? []) {
        if (!kept.has(instanceId)) this.#drop(leaseKey(namespace, id, instanceId));
      }
      for (const instance of present) if (!unchanged.has(instance)) this.#follow(namespace, id, instance);
    }
  }

  /** Begins what is due; `start` calls it in time. */
  tick(): void {
    const { clock, maxConcurrent, isStoreWritable, onError } = this.#options;
    if (this.#abort.signal.aborted || !isStoreWritable()) return;
    for (const target of this.#due.takeDue(clock.monotonicMs(), maxConcurrent - this.#running.size)) {
      const running = this.#check(target)
        .catch(onError)
        .finally(() => {
          this.#running.delete(running);
          this.tick();
        });
      this.#running.add(running);
    }
  }

  /** What `/status` tells; absent where nothing is checked. */
  describe(): RegistryStatus['health_checks'] {
    if (!this.#options.isOn) return undefined;
    const refused = this.#refused.size;
    return { checked: this.#targets.size - refused, failing: this.#failing.size, refused };
  }

  /** Resolves when the checks that run are over. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #start(): Promise<void> {
    let left = START_SLICE;
    for (const { namespace, id, instances } of this.#options.state.directory.nodes()) {
      for (const instance of instances)
        if (instance.healthCheckUrl !== null) this.#follow(namespace, id, instance);
      left -= 1;
      if (left > 0) continue;
      await new Promise(setImmediate);
      if (this.#isStopped()) return;
      left = START_SLICE;
    }
    if (this.#isStopped()) return;
    this.#timer = setInterval(() => {
      this.tick();
      if (!this.#options.isOn && this.#targets.size === 0) clearInterval(this.#timer);
    }, TICK_MS);
  }

  #isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  #follow(namespace: string, id: string, instance: Instance): void {
    const { instanceId, incarnation, healthCheckUrl: url, failingCheck } = instance;
    const { isOn, clock, random, intervalMs } = this.#options;
    const key = leaseKey(namespace, id, instanceId);
    const known = this.#targets.get(key);
    if (url === null || (!isOn && failingCheck === null)) {
      this.#drop(key);
      return;
    }
    if (known !== undefined && known.incarnation === incarnation && known.url === url) {
      if ((failingCheck !== null) !== this.#failing.has(known)) this.#turn(known, failingCheck !== null);
      return;
    }
    this.#drop(key);
    const target: Target = { key, namespace, id, instanceId, incarnation, url, failures: 0, passes: 0 };
    this.#targets.set(key, target);
    if (failingCheck !== null) this.#failing.add(target);
    this.#due.add(target, clock.monotonicMs() + (isOn ? random() * intervalMs : 0));
  }

  #turn(target: Target, isFailing: boolean): void {
    if (isFailing) this.#failing.add(target);
    else this.#failing.delete(target);
    target.failures = 0;
    target.passes = 0;
  }

  #drop(key: string): void {
    const target = this.#targets.get(key);
    if (target === undefined) return;
    this.#targets.delete(key);
    this.#due.remove(target);
    this.#failing.delete(target);
    this.#refused.delete(target);
  }

  async #check(target: Target): Promise<void> {
    const { isOn, clock, random, intervalMs, probe } = this.#options;
    const dueMs = clock.monotonicMs() + intervalMs * (1 + JITTER * (random() - 0.5));
    try {
      const outcome: ProbeOutcome = isOn
        ? await probe(target.url, this.#abort.signal)
        : { kind: 'refused', reason: 'health checks are off' };
      if (this.#isCurrent(target)) await this.#judge(target, outcome);
    } finally {
      if (this.#isCurrent(target)) this.#due.add(target, dueMs);
    }
  }

  async #judge(target: Target, outcome: ProbeOutcome): Promise<void> {
    const { failureThreshold, successThreshold, onRefused } = this.#options;
    const isFailing = this.#failing.has(target);
    if (outcome.kind === 'unknown') return;
    if (outcome.kind === 'refused') {
      this.#refused.add(target);
      onRefused(target, outcome.reason);
      target.failures = 0;
      target.passes = 0;
      // Nobody knows any more: it must not stay unhealthy for what is not looked at.
      if (isFailing) await this.#commit(target, null);
      return;
    }
    this.#refused.delete(target);
    if (outcome.kind === 'passed') {
      target.failures = 0;
      target.passes += 1;
      if (isFailing && target.passes >= successThreshold) await this.#commit(target, null);
    } else {
      target.passes = 0;
      target.failures += 1;
      if (!isFailing && target.failures >= failureThreshold) await this.#commit(target, outcome.reason);
    }
  }

  async #commit(target: Target, failure: string | null): Promise<void> {
    const { queue, clock } = this.#options;
    const { namespace, id, instanceId, incarnation, url } = target;
    const command = { namespace, id, instanceId, incarnation, url, failure };
    await queue
      .submit({ namespace, id, decide: (view) => decideHealthCheck(view, command, clock.wallMs()) })
      // Where it cannot be stored now, the next check tries again.
      .catch(() => undefined);
  }

  #isCurrent(target: Target): boolean {
    return !this.#abort.signal.aborted && this.#targets.get(target.key) === target;
  }
}
