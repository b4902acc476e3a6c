// What the load processes written for Node send: the same requests as `requests.lua`, and batches of heartbeats.

export const BATCH = 1_000;
/** So many batches are made ready: enough that their ids are spread over all that are held. */
const MOST_BATCHES = 1_000;
const DAY_MS = 86_400_000;
const DAY_S = 86_400;

/** @typedef {'heartbeat' | 'discover' | 'register' | 'heartbeats' | 'etcd-keepalive' | 'etcd-range'} Kind */

/** @param {number} number */
export const idOf = (number) => `member-${String(number).padStart(5, '0')}`;

/** @param {number} number */
export function registrationOf(number, intervalMs = DAY_MS) {
  return {
    id: idOf(number),
    parent: 'house',
    // 40 characters, for the first 100,000.
    endpoint: `http://10.0.0.1:8080/member/${idOf(number)}`,
    communication_mode: 'network',
    metadata: { a: 1 },
    heartbeat_interval_ms: intervalMs,
  };
}

/** A key of etcd as its gateway takes it: in base 64, which these letters and digits are already. */
const etcdKeyOf = (/** @type {number} */ number) => `member${String(number).padStart(6, '0')}`;

/** Keys and leases of etcd, numbered as the membranes are; it knows no lease 0. */
export const ETCD = {
  grant: (/** @type {number} */ number) => ({ ID: number + 1, TTL: DAY_S }),
  keepalive: (/** @type {number} */ number) => ({ ID: number + 1 }),
  put: (/** @type {number} */ number, /** @type {number} */ lease) => ({
    key: etcdKeyOf(number),
    value: Buffer.from(JSON.stringify(registrationOf(number))).toString('base64'),
    lease,
  }),
  range: (/** @type {number} */ number) => ({ key: etcdKeyOf(number) }),
};

/** @param {string} path @param {unknown} body */
export function postText(path, body) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
  return `${head}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

/** @type {Record<Exclude<Kind, 'heartbeats'>, (number: number) => string>} */
export const REQUESTS = {
  heartbeat: (number) => postText('/heartbeat', `{"id":"${idOf(number)}"}`),
  discover: (number) => `GET /discover/${idOf(number)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
  register: (number) => postText('/register', registrationOf(number)),
  'etcd-keepalive': (number) => postText('/v3/lease/keepalive', ETCD.keepalive(number)),
  'etcd-range': (number) => postText('/v3/kv/range', ETCD.range(number)),
};

/**
 * Bodies of batches: of each membrane from `first` on once, or of as many as are made ready, in an order without sense.
 * @param {number} held
 * @param {number} [first]
 */
export function batchBodies(held, first = 0) {
  const numbers = Uint32Array.from({ length: held }, (_, index) => first + index);
  // Always the same order: a generator of its own, with the constants of Numerical Recipes.
  let seed = 1;
  for (let index = held - 1; index > 0; index -= 1) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const other = seed % (index + 1);
    const number = numbers[index];
    numbers[index] = numbers[other];
    numbers[other] = number;
  }
  const count = Math.min(MOST_BATCHES, Math.floor(held / BATCH));
  return Array.from({ length: count }, (_, batch) => {
    const ids = Array.from(numbers.subarray(batch * BATCH, (batch + 1) * BATCH), idOf);
    return `{"heartbeats":[${ids.map((id) => `{"id":"${id}"}`).join(',')}]}`;
  });
}
