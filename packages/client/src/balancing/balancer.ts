import { MembraneError } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.js';
import type { Membrane } from '../registry-api.js';
import { InstanceLoad } from './instance-load.js';
import { fractionOf, rendezvousScore } from './rendezvous.js';
import { findStrategy, type Candidate, type Strategy, type StrategyName } from './strategy.js';

/** Instances of which loads are remembered, and ids of which the turn is; the least recently used are forgotten. */
const MAX_REMEMBERED = 10_000;

export interface BalancerOptions {
  readonly strategy: StrategyName | Strategy;
  /**
   * Instances of one id that this client uses at most, the same ones as long as they are there: every client others, so
   * that thousands of clients do not all connect to thousands of replicas. A key may lead to any.
   */
  readonly subsetSize: number;
}

export interface BalancerParts {
  readonly options: BalancerOptions;
  /** Names this client among all: it decides which subset is its. */
  readonly clientKey: string;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface ChoiceRequest {
  /** What is to stay with one instance: then the strategy is `sticky`. */
  readonly key?: string | undefined;
  /** In place of the client's own. */
  readonly strategy?: StrategyName | Strategy | undefined;
}

/** One instance, with what is known of it. */
class Replica implements Candidate {
  readonly instance: Membrane;
  readonly load: InstanceLoad;

  constructor(instance: Membrane, load: InstanceLoad) {
    this.instance = instance;
    this.load = load;
  }

  get pending(): number {
    return this.load.pending;
  }

  get latencyMs(): number | undefined {
    return this.load.latencyMs;
  }

  get failureRate(): number {
    return this.load.failureRate;
  }
}

/** The instances of one answer of the registry, as far as this client uses them. */
interface ReplicaSet {
  /** Who is well; where nobody is, all that do not drain; where all drain, these. As many as this client uses. */
  readonly replicas: readonly Replica[];
  /** The same for a key: not the client decides where that goes. */
  readonly keyed: readonly Replica[];
  /** Of the id, over all answers. */
  readonly turn: { count: number };
}

/**
 * Chooses among the instances of an id: active ones, none that failed again and again lately. Where all are unwell, all
 * are used. Draining ones get nothing new as long as there are others.
 */
export class Balancer {
  readonly #parts: BalancerParts;
  readonly #strategy: Strategy;
  // By size in place of number: that would set room for the whole number aside at once.
  readonly #loads = new LRUCache<string, InstanceLoad>({ maxSize: MAX_REMEMBERED, sizeCalculation: () => 1 });
  readonly #turns = new LRUCache<string, { count: number }>({
    maxSize: MAX_REMEMBERED,
    sizeCalculation: () => 1,
  });
  /** An answer of the registry is one array, as long as it serves. */
  readonly #sets = new WeakMap<readonly Membrane[], ReplicaSet>();

  /** @throws MembraneError `invalid_request` for what is no strategy. */
  constructor(parts: BalancerParts) {
    this.#parts = parts;
    this.#strategy = findStrategy(parts.options.strategy);
  }

  /**
   * @param instances those of one id, as one answer of the registry has them.
   * @returns undefined where there is none.
   * @throws MembraneError `invalid_request` for what is no strategy, or chooses none of them.
   */
  choose(instances: readonly Membrane[], { key, strategy }: ChoiceRequest = {}): Membrane | undefined {
    const set = this.#setOf(instances);
    const chooser = this.#strategyFor(key, strategy);
    const replicas = key === undefined ? set.replicas : set.keyed;
    const [only, second] = replicas;
    if (only === undefined || second === undefined) return only?.instance;
    const candidates = this.#candidates(replicas, key);
    set.turn.count += 1;
    const request = { key, turn: set.turn.count, random: this.#parts.random };
    // A function of somebody else may return anything.
    const chosen: unknown = chooser(candidates, request);
    const replica = candidates.find((candidate) => candidate === chosen);
    if (replica !== undefined) return replica.instance;
    const what = chosen === undefined ? 'undefined' : `another ${typeof chosen}`;
    throw new MembraneError('invalid_request', `strategy must return one of its candidates; got ${what}`);
  }

  /** A call to an instance begins. @returns what ends it, to be called once, with whether the instance is to blame. */
  begin(instance: Membrane): (isFailure: boolean) => void {
    return this.#loadOf(instance).begin();
  }

  #strategyFor(key: string | undefined, given: StrategyName | Strategy | undefined): Strategy {
    if (given !== undefined) return findStrategy(given);
    return key === undefined ? this.#strategy : findStrategy('sticky');
  }

  #setOf(instances: readonly Membrane[]): ReplicaSet {
    const known = this.#sets.get(instances);
    if (known !== undefined) return known;
    const { options, clientKey } = this.#parts;
    const best = pickBest(instances);
    const toReplica = (instance: Membrane): Replica => new Replica(instance, this.#loadOf(instance));
    const replicas = cut(best, clientKey, options.subsetSize).map(toReplica);
    const keyed = replicas.length === best.length ? replicas : best.map(toReplica);
    const set = { replicas, keyed, turn: this.#turnOf(instances[0]) };
    this.#sets.set(instances, set);
    return set;
  }

  #candidates(replicas: readonly Replica[], key: string | undefined): readonly Replica[] {
    if (replicas.every(({ load }) => load.share === 1)) return replicas;
    const { random } = this.#parts;
    const usable = replicas.filter(({ load, instance }) => {
      // A key does not go to and fro while an instance comes back.
      const lot = key === undefined ? random() : fractionOf(`${key} ${instance.instanceId}`);
      return !load.isEjected && lot < load.share;
    });
    if (usable.length > 0) return usable;
    const back = replicas.filter(({ load }) => !load.isEjected);
    return back.length > 0 ? back : replicas;
  }

  #turnOf(instance: Membrane | undefined): { count: number } {
    const name = `${instance?.namespace ?? ''}/${instance?.id ?? ''}`;
    const known = this.#turns.get(name);
    // From anywhere: many clients that begin together do not all begin with the same one.
    const turn = known ?? { count: Math.floor(this.#parts.random() * MAX_REMEMBERED) };
    if (known === undefined) this.#turns.set(name, turn);
    return turn;
  }

  #loadOf({ namespace, id, instanceId, incarnation }: Membrane): InstanceLoad {
    const name = `${namespace}/${id}/${instanceId}/${incarnation}`;
    let load = this.#loads.get(name);
    if (load === undefined) {
      load = new InstanceLoad(this.#parts.clock);
      this.#loads.set(name, load);
    }
    return load;
  }
}

function pickBest(instances: readonly Membrane[]): readonly Membrane[] {
  const active = instances.filter(({ status }) => status === 'active');
  if (active.length > 0) return withWeight(active);
  // Silence shows also where it drains.
  const staying = instances.filter(({ status, drain }) => status !== 'draining' && drain === undefined);
  return withWeight(staying.length > 0 ? staying : instances);
}

/** A weight of 0 wants nothing, as long as others have one. */
function withWeight(instances: readonly Membrane[]): readonly Membrane[] {
  const weighty = instances.filter(({ weight }) => weight > 0);
  return weighty.length > 0 ? weighty : instances;
}

function cut(instances: readonly Membrane[], clientKey: string, size: number): readonly Membrane[] {
  if (instances.length <= size) return instances;
  return instances
    .map((instance) => [rendezvousScore(clientKey, instance.instanceId), instance] as const)
    .sort(([one], [other]) => other - one)
    .slice(0, size)
    .map(([, instance]) => instance);
}
