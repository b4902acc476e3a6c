// Two processes want one name: the newer has it, the older stops and says so, and it stays like that. Also where the
// older is suspended meanwhile, even until its lease has ended, and where the registry forgets both.
import { setTimeout as sleep } from 'node:timers/promises';
import { HolderWatch } from './holder-watch.mjs';
import { createRandom } from './random.mjs';
import { TroubledRegistry } from './troubled-registry.mjs';
import { WatchedClient } from './watched-client.mjs';

const ID = 'contested';
const INTERVAL_MS = 1_000;
/** The older learns of it by its next heartbeat; the rest is for a busy machine. */
const BOUND_MS = INTERVAL_MS + 1_000;
/** A silent lease ends after five intervals. */
const EXPIRY_MS = 5 * INTERVAL_MS + BOUND_MS;
const POLL_MS = 50;

/**
 * @typedef {object} Stage
 * @property {WatchedClient} older
 * @property {HolderWatch} watch
 * @property {() => Promise<WatchedClient>} startNewer
 */

/**
 * How the newer comes to the name, until the older can learn of it; and whether the registry loses its data later.
 * @type {Record<string, { arrive: (stage: Stage) => Promise<WatchedClient>; isForgotten?: boolean }>}
 */
const CASES = {
  running: { arrive: ({ startNewer }) => startNewer() },
  suspended: {
    async arrive({ older, startNewer }) {
      older.suspend();
      const newer = await startNewer();
      older.resume();
      return newer;
    },
  },
  expired: {
    async arrive({ older, watch, startNewer }) {
      older.suspend();
      if (!(await within(EXPIRY_MS, () => !watch.isHeld))) throw new Error('a silent lease did not end');
      const newer = await startNewer();
      older.resume();
      return newer;
    },
  },
  forgotten: { arrive: ({ startNewer }) => startNewer(), isForgotten: true },
};

/**
 * @param {{ seconds: number; seed: number; onProgress: (line: string) => void }} options
 */
export async function takeover({ seconds, seed, onProgress }) {
  const random = createRandom(seed);
  /** @type {string[]} */
  const violations = [];
  const results = await Promise.all(
    Object.keys(CASES).map(async (name) => {
      const violate = (/** @type {string} */ text) => violations.push(`${name}: ${text}`);
      const result = await play({ name, quietMs: seconds * 1_000, random, violate });
      onProgress(`${name}: ${JSON.stringify(result)}`);
      return [name, result];
    }),
  );
  return { seconds, seed, cases: Object.fromEntries(results), violations };
}

/**
 * @param {{ name: string; quietMs: number; random: () => number; violate: (text: string) => void }} options
 */
async function play({ name, quietMs, random, violate }) {
  const { arrive, isForgotten = false } = CASES[name];
  const registry = new TroubledRegistry({ random, maxAwayMs: INTERVAL_MS });
  await registry.start();
  const watch = new HolderWatch(registry.url, ID);
  watch.start();
  const startClient = async () => {
    const client = new WatchedClient({ registryUrl: registry.url, id: ID, intervalMs: INTERVAL_MS });
    await client.registered();
    return client;
  };
  const older = await startClient();
  await within(BOUND_MS, () => watch.isHeld);
  const newer = await arrive({ older, watch, startNewer: startClient });
  const fromMs = Date.now();
  await within(BOUND_MS, () => older.told('superseded') !== undefined);
  const toldAtMs = older.told('superseded')?.atMs;
  if (toldAtMs === undefined) violate(`the older was not told within ${BOUND_MS} ms`);

  await sleep(isForgotten ? quietMs / 2 : quietMs);
  const registrations = await watch.registrations();
  const expected = [older.pid, newer.pid];
  if (isForgotten) {
    await registry.emptied();
    await sleep(quietMs / 2);
    registrations.push(...(await watch.registrations()));
    expected.push(newer.pid);
  }
  watch.stop();

  const call = (/** @type {number} */ pid) =>
    pid === older.pid ? 'older' : pid === newer.pid ? 'newer' : `process ${pid}`;
  const holders = watch.holders.map(({ pid }) => call(pid));
  const order = holders.filter((holder, index) => holder !== holders[index - 1]).join(', ');
  if (order !== 'older, newer') violate(`the holders were ${order}`);
  if (holders.length !== expected.length) violate(`the incarnations were of ${holders.join(', ')}`);
  if (!watch.isHeld) violate('nobody holds the name at the end');
  if (registrations.join() !== expected.join())
    violate(`the journal tells of registrations by ${registrations.map(call).join(', ')}`);
  const last = older.events.at(-1)?.name;
  if (last !== 'superseded') violate(`the older told ${last} at last`);
  if (newer.told('superseded') !== undefined) violate('the newer was told that it is superseded');
  for (const text of [...older.faults, ...newer.faults]) violate(text);

  await Promise.all([older.kill(), newer.kill()]);
  await registry.close();
  return {
    toldAfterMs: toldAtMs === undefined ? undefined : toldAtMs - fromMs,
    registrations: registrations.map(call),
    holders,
    looks: watch.looks,
  };
}

/**
 * @param {number} ms
 * @param {() => boolean} isSo
 * @returns {Promise<boolean>} false where it did not come to be so in this time
 */
async function within(ms, isSo) {
  for (const endMs = Date.now() + ms; !isSo(); await sleep(POLL_MS)) if (Date.now() > endMs) return false;
  return true;
}
