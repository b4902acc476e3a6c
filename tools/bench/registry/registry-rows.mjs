import { LOAD_GENERATOR, measureByNode, measureEtcdRegister, measureRate } from '../load/http-rate.mjs';
import { median } from '../report/report.mjs';
import { measureRedis } from '../servers/redis-server.mjs';

const READ_CONNECTIONS = 32;
const WRITE_CONNECTIONS = 64;
/** More than are granted in a round. */
const LEASES_A_ROUND = 1_000_000;
/** So long each server is asked before it is measured: code that has just been started is not compiled yet. */
export const WARM_UP_SECONDS = 0.5;
const KINDS = /** @type {const} */ (['heartbeat', 'discover', 'register']);

/**
 * @typedef {object} Servers
 * @property {{ url: string }} bare
 * @property {{ url: string }} few
 * @property {{ url: string }} many
 * @property {{ url: string } | undefined} etcd undefined: it is not installed here
 * @property {import('../servers/redis-server.mjs').Redis | undefined} redis undefined: it is not installed here
 */

/** By what was asked and of whom: the rate of each round. @typedef {Record<string, number[] | undefined>} Rates */

/**
 * One thing a request: renewals, look-ups and registrations, by who offers them, in turns.
 * @param {Servers} servers
 * @param {{ few: number; many: number; rounds: number; seconds: number; onProgress: (line: string) => void }} extent
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function measureRows(servers, { few, many, rounds, seconds, onProgress }) {
  const { bare, etcd, redis } = servers;
  onProgress(
    `one a request: load by ${LOAD_GENERATOR}; grant and put by node-load.mjs; Redis by redis-benchmark`,
  );
  /** @type {Rates} */
  const rates = {};
  const note = async (/** @type {string} */ name, /** @type {Promise<number>} */ rate) => {
    (rates[name] ??= []).push(await rate);
  };
  const reads = { connections: READ_CONNECTIONS, seconds };
  const writes = { connections: WRITE_CONNECTIONS, seconds };
  let lease = few;
  await warmUp(servers, { few, lease });
  lease += LEASES_A_ROUND;
  for (let round = 1; round <= rounds; round += 1) {
    onProgress(`one a request: round ${round} of ${rounds}`);
    for (const kind of KINDS) {
      const extent = kind === 'register' ? writes : reads;
      await note(`bare ${kind}`, measureRate({ url: bare.url, kind, count: few, ...extent }));
      await note(`few ${kind}`, measureRate({ url: servers.few.url, kind, count: few, ...extent }));
      // Another part of them in each round.
      const first = Math.floor(((round - 1) / rounds) * many);
      await note(`many ${kind}`, measureRate({ url: servers.many.url, kind, count: many, first, ...extent }));
    }
    if (etcd !== undefined) {
      const { url } = etcd;
      await note('etcd heartbeat', measureRate({ url, kind: 'etcd-keepalive', count: few, ...reads }));
      await note('etcd discover', measureRate({ url, kind: 'etcd-range', count: few, ...reads }));
      await note('etcd register', measureEtcdRegister({ url, count: few, first: lease, ...writes }));
      lease += LEASES_A_ROUND;
    }
    if (redis !== undefined) {
      await note('redis heartbeat', measureRedis(redis, { command: 'expire', count: few, ...reads }));
      await note('redis discover', measureRedis(redis, { command: 'get', count: few, ...reads }));
    }
  }
  return figuresOf(rates, { few, many });
}

/**
 * @param {Servers} servers
 * @param {{ few: number; lease: number }} extent `lease`: the first that etcd may grant
 */
async function warmUp({ bare, few: registry, many, etcd }, { few, lease }) {
  const extent = { count: few, connections: READ_CONNECTIONS, seconds: WARM_UP_SECONDS };
  for (const kind of KINDS) {
    for (const { url } of [bare, registry, many]) await measureByNode({ url, kind, ...extent });
  }
  if (etcd === undefined) return;
  const { url } = etcd;
  await measureByNode({ url, kind: 'etcd-keepalive', ...extent });
  await measureByNode({ url, kind: 'etcd-range', ...extent });
  await measureEtcdRegister({ url, first: lease, ...extent });
}

/** By kind: what is beside it, and what is aimed at. */
const BESIDE = {
  heartbeat: {
    bare: ['bare node:http', '0.9 or better'],
    etcd: ['etcd /v3/lease/keepalive', '2.3 or better'],
    redis: ['Redis EXPIRE', ''],
  },
  discover: {
    bare: ['bare node:http', '0.9 or better'],
    etcd: ['etcd /v3/kv/range', '3 or better'],
    redis: ['Redis GET', ''],
  },
  register: {
    bare: ['bare node:http, validates, group-commits the row', '0.7 or better'],
    etcd: ['etcd grant + put', '4 or better'],
  },
};

/**
 * @param {Rates} rates
 * @param {{ few: number; many: number }} held
 * @returns {import('../report/report.mjs').Figure[]}
 */
function figuresOf(rates, { few, many }) {
  const format = (/** @type {number} */ count) => count.toLocaleString('en-US');
  return KINDS.flatMap((kind) => {
    const what =
      kind === 'register'
        ? `durable register, ${WRITE_CONNECTIONS} in flight`
        : `${kind}, ${READ_CONNECTIONS} connections`;
    const own = rates[`few ${kind}`] ?? [];
    const beside = Object.entries(BESIDE[kind]).map(([server, [name, target]]) => {
      const reference = rates[`${server} ${kind}`];
      const missing = `${name}: not found, not measured`;
      return reference === undefined
        ? { what, ...figureOf(own), target: missing }
        : { what, ...figureOf(own), ...referenceOf(name, reference), target };
    });
    const held = {
      what: `${what}, ${format(many)} held`,
      ...figureOf(rates[`many ${kind}`] ?? []),
      ...referenceOf(`with ${format(few)} held`, own),
      target: '0.8 or better',
    };
    return [...beside, held];
  });
}

/** @param {readonly number[]} samples of each round, a second */
export function figureOf(samples) {
  return { value: median(samples), unit: '/s', samples };
}

/** @param {string} referenceName @param {readonly number[]} referenceSamples of each round, a second */
export function referenceOf(referenceName, referenceSamples) {
  return { reference: median(referenceSamples), referenceName, referenceSamples };
}

/** One heartbeat a request, to be set beside batches. @param {string} url @param {{ count: number; seconds: number }} extent */
export function measureHeartbeats(url, { count, seconds }) {
  return measureRate({ url, kind: 'heartbeat', count, connections: READ_CONNECTIONS, seconds });
}
