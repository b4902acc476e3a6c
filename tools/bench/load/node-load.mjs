// The load generator of this bench that needs nothing but Node: node node-load.mjs. Does what its parent process asks for.
// Every connection has one request on its way, made ready before the clock starts where that fits into memory.
import { answerParent } from '../process/answer-parent.mjs';
import { BATCH, batchBodies, ETCD, postText, REQUESTS } from './bench-requests.mjs';
import { RawConnection } from './raw-connection.mjs';

/** Beyond that many, requests are made while they are sent. */
const MOST_READY = 10_000;

/** @type {Map<number, Buffer[]>} */
const batchesOf = new Map();

/** @param {number} held */
function readyBatches(held) {
  const ready =
    batchesOf.get(held) ?? batchBodies(held).map((body) => Buffer.from(postText('/heartbeat', body)));
  batchesOf.set(held, ready);
  return ready;
}

/**
 * What to send next.
 * @param {import('./bench-requests.mjs').Kind} kind
 * @param {number} count
 * @param {number} first
 * @returns {() => string | Buffer}
 */
function sourceOf(kind, count, first) {
  let next = first % count;
  if (kind === 'heartbeats') {
    const batches = readyBatches(count);
    next %= batches.length;
    return () => batches[(next = (next + 1) % batches.length)];
  }
  const make = REQUESTS[kind];
  const ready =
    count <= MOST_READY ? Array.from({ length: count }, (_, n) => Buffer.from(make(n))) : undefined;
  return () => {
    const number = next;
    next = number + 1 === count ? 0 : number + 1;
    return ready?.[number] ?? make(number);
  };
}

/**
 * Runs `step` on every connection again and again; it calls back when it is done.
 * @param {{ url: string; connections: number; seconds: number }} load
 * @param {(connection: RawConnection, done: () => void, fail: (error: Error) => void) => void} step
 * @returns {Promise<number>} steps a second
 */
async function repeat({ url, connections, seconds }, step) {
  const all = Array.from({ length: connections }, () => new RawConnection(url));
  let done = 0;
  const startMs = performance.now();
  try {
    await new Promise((resolve, reject) => {
      setTimeout(resolve, seconds * 1_000);
      for (const connection of all) {
        const again = () => {
          done += 1;
          step(connection, again, reject);
        };
        step(connection, again, reject);
      }
    });
    return (done * 1_000) / (performance.now() - startMs);
  } finally {
    for (const connection of all) connection.close();
  }
}

/** @type {Record<string, (what: any) => Promise<unknown>>} */
const TASKS = {
  /** Requests a second; of batches, renewals a second. */
  async rate({ kind, count, first = 0, ...load }) {
    const source = sourceOf(kind, count, first);
    const isWhole = kind === 'heartbeats' ? `"renewed":${BATCH}` : '';
    const rate = await repeat(load, (connection, done, fail) => {
      const onAnswer = (/** @type {string} */ answer) => {
        if (answer.includes(isWhole)) done();
        else fail(new Error(`not all were renewed: ${answer.slice(0, 500)}`));
      };
      connection.send(source(), onAnswer, fail);
    });
    return kind === 'heartbeats' ? rate * BATCH : rate;
  },
  /** Registrations in etcd a second, each a lease that is granted and then a key that is put under it. */
  async etcdRegister({ count, first, ...load }) {
    let next = first;
    return repeat(load, (connection, done, fail) => {
      const number = next;
      next += 1;
      const grant = postText('/v3/lease/grant', ETCD.grant(number));
      const put = postText('/v3/kv/put', ETCD.put(number % count, number + 1));
      connection.send(grant, () => connection.send(put, done, fail), fail);
    });
  },
};

answerParent(TASKS);
process.send?.({ ready: true });
