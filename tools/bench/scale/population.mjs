// Who is played: one root, hosts below it, and the workers of each host. A membrane has a number, and a generation, by
// which its id differs once it has been replaced by another.

const WORKERS = 50;
const FAMILY = WORKERS + 1;
/** Prime, so that ids of neighbouring ranks are spread over all hosts. */
const STRIDE = 7_368_787;

/** One for all: a process shows one token for all that it keeps, and the registry holds its hash with each. */
export const LEASE_TOKEN = '6b1f0d3a9c5e48d7a2f4b8c1e7d09536';

/** @param {number} number @param {number} [generation] */
export function idOf(number, generation = 0) {
  if (number === 0) return 'site';
  const kind = isWorker(number) ? 'worker' : 'host';
  return generation === 0 ? `${kind}-${number}` : `${kind}-${number}-${generation}`;
}

/** @param {number} number */
export function isWorker(number) {
  return number > 0 && (number - 1) % FAMILY !== 0;
}

/** @param {number} number */
function hostOf(number) {
  return number - ((number - 1) % FAMILY);
}

/** The hosts of a population, evenly spread. @param {number} count of all @param {number} wanted */
export function someHosts(count, wanted) {
  const hosts = Math.floor((count - 2) / FAMILY) + 1;
  return Array.from({ length: wanted }, (_, index) =>
    idOf(1 + (Math.floor((index * hosts) / wanted) % hosts) * FAMILY),
  );
}

/** The parent first. @param {number} number */
export function ancestorsOf(number) {
  if (number === 0) return [];
  return isWorker(number) ? [idOf(hostOf(number)), idOf(0)] : [idOf(0)];
}

/** @param {number} number @param {number} intervalMs @param {number} [generation] */
export function registrationOf(number, intervalMs, generation = 0) {
  const id = idOf(number, generation);
  return {
    id,
    parent: ancestorsOf(number)[0],
    endpoint: `http://10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}:8080/${id}`,
    communication_mode: 'network',
    metadata: { version: '1.4.2' },
    heartbeat_interval_ms: intervalMs,
    lease_token: LEASE_TOKEN,
  };
}

/**
 * The number of a membrane that is looked for: by Zipf's law with an exponent of about 1, so that each tenfold of ranks
 * gets as many look-ups as any other.
 * @param {number} count
 */
export function lookedFor(count) {
  const rank = Math.floor((count + 1) ** Math.random()) - 1;
  return (rank * STRIDE) % count;
}
