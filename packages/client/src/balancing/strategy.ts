import { MembraneError } from '@membrane/protocol';
import type { Membrane } from '../registry-api.js';
import { rendezvousScore } from './rendezvous.js';

/** An instance that may be chosen, and what this client knows of it from its own calls. */
export interface Candidate {
  readonly instance: Membrane;
  /** Calls under way. */
  readonly pending: number;
  /** Moving average of what calls took, in milliseconds; undefined before the first. */
  readonly latencyMs: number | undefined;
  /** Of its latest calls, the part that failed, from 0 to 1; fades while there are none. */
  readonly failureRate: number;
}

export interface StrategyRequest {
  /** What is to stay with one instance, such as a customer; undefined where nothing is. */
  readonly key: string | undefined;
  /** Counts up with each choice among the instances of one id, from a random start. */
  readonly turn: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Chooses one of the candidates, of which there is at least one. */
export type Strategy = (candidates: readonly Candidate[], request: StrategyRequest) => Candidate;

/**
 * `round-robin`: each in its turn. `random`: any. `p2c`: of two random ones the one with the lower latency and fewer
 * calls under way (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). `weighted`: any, in
 * proportion to its `weight`. `sticky`: for a key always the same one, and few keys move where instances come and go;
 * without a key as `p2c`.
 */
export type StrategyName = 'round-robin' | 'random' | 'p2c' | 'weighted' | 'sticky';

const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = Object.freeze({
  'round-robin': (candidates, { turn }) => at(candidates, turn % candidates.length),
  random: (candidates, { random }) => at(candidates, Math.floor(random() * candidates.length)),
  p2c,
  weighted,
  sticky,
});

export const STRATEGY_NAMES = Object.freeze(Object.keys(STRATEGIES)) as readonly StrategyName[];

/** @throws MembraneError `invalid_request` for what is no strategy. */
export function findStrategy(given: StrategyName | Strategy): Strategy {
  if (typeof given === 'function') return given;
  if (Object.hasOwn(STRATEGIES, given)) return STRATEGIES[given];
  const names = STRATEGY_NAMES.map((name) => `"${name}"`).join(', ');
  throw new MembraneError(
    'invalid_request',
    `strategy must be one of ${names}, or a function; got ${JSON.stringify(given)}`,
  );
}

function p2c(candidates: readonly Candidate[], { random }: StrategyRequest): Candidate {
  const first = Math.floor(random() * candidates.length);
  if (candidates.length === 1) return at(candidates, first);
  // Another one than the first.
  const second = (first + 1 + Math.floor(random() * (candidates.length - 1))) % candidates.length;
  const [one, other] = [at(candidates, first), at(candidates, second)];
  return costOf(other) < costOf(one) ? other : one;
}

/**
 * What another call is likely to take until one succeeds; nobody knows of one that was never asked: that is tried, but
 * once at first.
 */
function costOf({ pending, latencyMs, failureRate, instance }: Candidate): number {
  const failuresMs = (FAILURE_MS * failureRate) / Math.max(1 - failureRate, MIN_SUCCESS_RATE);
  const callsMs = latencyMs === undefined ? pending * UNKNOWN_LATENCY_MS : latencyMs * (pending + 1);
  const costMs = callsMs + failuresMs;
  return instance.weight > 0 ? costMs / instance.weight : Number.POSITIVE_INFINITY;
}

const UNKNOWN_LATENCY_MS = 1_000;
/** What a failed call costs whoever must try again. */
const FAILURE_MS = 100;
const MIN_SUCCESS_RATE = 0.01;

function weighted(candidates: readonly Candidate[], { random }: StrategyRequest): Candidate {
  const total = candidates.reduce((sum, { instance }) => sum + instance.weight, 0);
  let left = random() * total;
  for (const candidate of candidates) {
    left -= candidate.instance.weight;
    if (left < 0) return candidate;
  }
  return at(candidates, Math.floor(random() * candidates.length));
}

function sticky(candidates: readonly Candidate[], request: StrategyRequest): Candidate {
  const { key } = request;
  if (key === undefined) return p2c(candidates, request);
  let best = at(candidates, 0);
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const score = rendezvousScore(key, candidate.instance.instanceId, candidate.instance.weight);
    if (score > bestScore) [best, bestScore] = [candidate, score];
  }
  return best;
}

function at(candidates: readonly Candidate[], index: number): Candidate {
  const candidate = candidates[index] ?? candidates[0];
  if (candidate === undefined) throw new Error('nothing to choose from');
  return candidate;
}
