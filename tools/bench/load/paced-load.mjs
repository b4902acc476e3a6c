// Load at an even pace, as a million processes would be: node paced-load.mjs URL. Does what its parent process asks for.
// What is sent does not wait for what was sent before.
import { answerParent } from '../process/answer-parent.mjs';
import { batchBodies, BATCH, postText, REQUESTS } from './bench-requests.mjs';
import { RawConnection } from './raw-connection.mjs';

const TICK_MS = 2;

const [url = ''] = process.argv.slice(2);
/** @type {RawConnection[]} */
const idle = [];

/** @param {string | Buffer} request @returns {Promise<string>} over a connection that nobody else uses meanwhile */
async function exchange(request) {
  let connection = idle.pop();
  while (connection?.isOpen === false) connection = idle.pop();
  connection ??= new RawConnection(url);
  const answer = await connection.ask(request);
  idle.push(connection);
  return answer;
}

/**
 * Sends again and again, and keeps how long each answer took in milliseconds.
 * @param {number} perSecond
 * @param {() => string | Buffer} next
 * @param {{ expected: string; mayFail?: boolean; most?: number }} answers what is in every answer, and how many may be waited
 * for at once: beyond that nothing is sent
 */
function pace(perSecond, next, { expected, mayFail = false, most = Infinity }) {
  /** @type {number[]} */
  const tookMs = [];
  /** @type {Set<Promise<void>>} */
  const waiting = new Set();
  /** @type {Error | undefined} */
  let failure;
  const startMs = performance.now();
  let sent = 0;
  const send = async () => {
    const sentMs = performance.now();
    try {
      const answer = await exchange(next());
      if (!answer.includes(expected)) throw new Error(`not what was asked for: ${answer.slice(0, 500)}`);
      tookMs.push(performance.now() - sentMs);
    } catch (error) {
      if (!mayFail) failure ??= /** @type {Error} */ (error);
    }
  };
  const timer = setInterval(() => {
    for (; sent < ((performance.now() - startMs) * perSecond) / 1_000; sent += 1) {
      if (waiting.size >= most) continue;
      const one = send().finally(() => waiting.delete(one));
      waiting.add(one);
    }
  }, TICK_MS);
  return async () => {
    clearInterval(timer);
    await Promise.all(waiting);
    if (failure !== undefined) throw failure;
    return tookMs;
  };
}

/** @type {Record<string, () => Promise<number[]>>} */
const stops = {};
/** @type {Buffer[]} */
let stay = [];
/** @type {Buffer[]} */
let leave = [];
let batch = 0;

const readyOf = (/** @type {number} */ held, /** @type {number} */ first) =>
  batchBodies(held, first).map((body) => Buffer.from(postText('/heartbeat', body)));

/** @type {Record<string, (what: any) => Promise<unknown>>} */
const TASKS = {
  /** Renews all within an interval, in batches; the last `leaving` of them until `dismiss`. */
  async renew({ count, leaving, intervalMs }) {
    stay = readyOf(count - leaving, 0);
    leave = readyOf(leaving, count - leaving);
    const perSecond = (count * 1_000) / BATCH / intervalMs;
    stops.renew = pace(
      perSecond,
      () => {
        const all = stay.length + leave.length;
        batch = (batch + 1) % all;
        return batch < stay.length ? stay[batch] : leave[batch - stay.length];
      },
      { expected: `"renewed":${BATCH}` },
    );
  },
  /** Renews those who leave once more, all at once, and then no more. */
  async dismiss() {
    const last = leave;
    leave = [];
    await Promise.all(last.map(exchange));
  },
  async discover({ count, perSecond }) {
    let next = 0;
    const step = 7_919;
    const source = () => REQUESTS.discover((next = (next + step) % count));
    stops.discover = pace(perSecond, source, { expected: '"instances"' });
  },
  /**
   * Whether it lives; until it listens nobody says so. One question at a time: where a server is late, each new connection
   * would make it later.
   */
  async live({ perSecond }) {
    const request = 'GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
    stops.live = pace(perSecond, () => request, { expected: '', mayFail: true, most: 1 });
  },
  async stop({ which }) {
    return stops[which]();
  },
};

answerParent(TASKS);
process.send?.({ ready: true });
