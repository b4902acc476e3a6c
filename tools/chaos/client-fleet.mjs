import { WatchedClient } from './watched-client.mjs';

/** Processes that start at once: more would not start sooner on a few cores. */
const STARTING_AT_ONCE = 8;

/**
 * Starts clients; resolves when all have registered for the first time.
 * @param {{ registryUrl: string; ids: readonly string[]; intervalMs: number }} options
 */
export async function startFleet({ registryUrl, ids, intervalMs }) {
  const left = [...ids];
  /** @type {WatchedClient[]} */
  const fleet = [];
  const startOneByOne = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      const client = new WatchedClient({ registryUrl, id, intervalMs });
      fleet.push(client);
      await client.registered();
    }
  };
  await Promise.all(Array.from({ length: STARTING_AT_ONCE }, startOneByOne));
  return fleet;
}
