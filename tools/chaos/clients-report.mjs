import { median, quantile } from './statistics.mjs';
import { FAULTS } from './troubled-registry.mjs';

/** What no client should tell: all of them live, and nobody else wants their names. */
const UNEXPECTED = ['superseded', 'removed', 'registrationRefused'];

/** @typedef {{ peak: number; mean: number }} Rate */
/** @typedef {import('./recovery.mjs').Recovery & { requests: Rate }} MeasuredRecovery */

/**
 * @typedef {object} Setting
 * @property {number} clients
 * @property {number} seconds
 * @property {number} seed
 * @property {number} intervalMs
 * @property {number} waitsMs how long a client waits at most, by design
 * @property {number} allowanceMs what the bound adds for a busy machine
 */

/** What happened in a run of the clients scenario. */
export class ClientsReport {
  #setting;
  /** @type {string[]} */
  #violations = [];
  /** @type {Map<string, MeasuredRecovery[]>} */
  #recoveries = new Map(FAULTS.map((kind) => [kind, []]));
  #faults = /** @type {Record<string, number>} */ (Object.fromEntries(FAULTS.map((kind) => [kind, 0])));
  #overtaken = 0;
  /** @type {Rate[]} */
  #rests = [];
  /** @type {Record<string, number>} */
  #events = {};

  /** @param {Setting} setting */
  constructor(setting) {
    this.#setting = setting;
  }

  get #count() {
    return Object.values(this.#faults).reduce((sum, count) => sum + count, 0);
  }

  get progress() {
    return `${this.#count} faults, ${this.#violations.length} violations`;
  }

  violate = (/** @type {string | undefined} */ text) => {
    if (text !== undefined) this.#violations.push(`after fault ${this.#count}: ${text}`);
  };

  /**
   * @param {string} kind
   * @param {MeasuredRecovery | undefined} recovery undefined where the next fault came first
   */
  noteFault(kind, recovery) {
    this.#faults[kind] += 1;
    if (recovery === undefined) {
      this.#overtaken += 1;
      return;
    }
    this.#recoveries.get(kind)?.push(recovery);
    for (const text of recovery.violations) this.violate(`${kind}: ${text}`);
  }

  /** @param {Rate} requests */
  noteRest(requests) {
    this.#rests.push(requests);
  }

  /** @param {import('./watched-client.mjs').WatchedClient} client */
  noteClient({ id, events, faults }) {
    for (const text of faults) this.#violations.push(`${id} ${text}`);
    for (const { name, detail } of events) {
      this.#events[name] = (this.#events[name] ?? 0) + 1;
      if (UNEXPECTED.includes(name)) this.#violations.push(`${id} told ${name} ${detail ?? ''}`.trim());
    }
  }

  /** @param {object} memory */
  summarize(memory) {
    const all = [...this.#recoveries.values()].flat();
    const { waitsMs } = this.#setting;
    return {
      ...this.#setting,
      faults: this.#faults,
      /** Faults that the next one did not let get over. */
      overtaken: this.#overtaken,
      /** Until a client had an acknowledgement again, one figure a client and fault. */
      recovery: {
        ...summarizeTimes(all),
        beyondWaits: all.flatMap(({ clientsMs }) => clientsMs).filter((ms) => ms > waitsMs).length,
      },
      recoveryByFault: mapRecoveries(this.#recoveries, summarizeTimes),
      /** Answered in 100 ms; after a return, until all were there: of the worst return, by its peak over its mean. */
      requestsAtRest: summarizeRates(this.#rests),
      requestsAfterReturn: mapRecoveries(this.#recoveries, (some) =>
        summarizeRates(some.map(({ requests }) => requests)),
      ),
      memory,
      events: this.#events,
      violations: this.#violations,
    };
  }
}

/**
 * @template Value
 * @param {ReadonlyMap<string, MeasuredRecovery[]>} recoveries
 * @param {(some: MeasuredRecovery[]) => Value} map
 */
function mapRecoveries(recoveries, map) {
  return Object.fromEntries([...recoveries].map(([kind, some]) => [kind, map(some)]));
}

/** @param {readonly MeasuredRecovery[]} recoveries */
function summarizeTimes(recoveries) {
  const times = recoveries.flatMap(({ clientsMs }) => clientsMs);
  return {
    count: times.length,
    medianMs: median(times),
    p95Ms: quantile(times, 0.95),
    maxMs: quantile(times, 1),
    maxUntilAllListedMs: quantile(
      recoveries.map(({ wholeMs }) => wholeMs ?? Number.POSITIVE_INFINITY),
      1,
    ),
  };
}

/** @param {readonly Rate[]} rates */
function summarizeRates(rates) {
  const means = rates.map(({ mean }) => mean);
  return {
    maxPeak: quantile(
      rates.map(({ peak }) => peak),
      1,
    ),
    medianPeak: median(rates.map(({ peak }) => peak)),
    medianMean: round(median(means)),
    medianPeakOverMean: round(
      median(rates.filter(({ mean }) => mean > 0).map(({ peak, mean }) => peak / mean)),
    ),
  };
}

/** @param {number | undefined} value */
function round(value) {
  return value === undefined ? undefined : Math.round(value * 10) / 10;
}
