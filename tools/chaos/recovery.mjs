import { setTimeout as sleep } from 'node:timers/promises';

/** How often the registry is asked who is there. */
export const LOOK_MS = 100;
/** After that much more than the bound nobody waits any longer. */
const GIVE_UP_MS = 20_000;
/** Ids that a message names; it says how many more there are. */
const MAX_NAMED = 5;

/**
 * @typedef {object} Recovery  Milliseconds from when the registry was back.
 * @property {number[]} clientsMs until each client had an acknowledgement
 * @property {number | undefined} wholeMs until all were listed as active; undefined where that did not come
 * @property {number} endMs the time at which all was well
 * @property {import('./roll-call.mjs').Roll | undefined} roll the last one
 * @property {string[]} violations
 */

/**
 * Waits until each client has an acknowledgement of the registry that came back, and that lists all of them.
 * @param {object} parts
 * @param {readonly import('./watched-client.mjs').WatchedClient[]} parts.fleet
 * @param {import('./roll-call.mjs').RollCall} parts.rollCall
 * @param {import('./troubled-registry.mjs').Return} parts.back
 * @param {number} parts.boundMs
 * @returns {Promise<Recovery>}
 */
export async function awaitRecovery({ fleet, rollCall, back: { backAtMs, heardFromMs }, boundMs }) {
  const giveUpAtMs = backAtMs + boundMs + GIVE_UP_MS;
  /** @type {number | undefined} */
  let wholeMs;
  let roll;
  let silent = [...fleet];
  while ((silent.length > 0 || wholeMs === undefined) && Date.now() < giveUpAtMs) {
    await sleep(LOOK_MS);
    silent = silent.filter((client) => client.acknowledgedSince(heardFromMs) === undefined);
    if (wholeMs !== undefined) continue;
    roll = (await rollCall.take()) ?? roll;
    if (roll?.missing.length === 0) wholeMs = roll.atMs - backAtMs;
  }
  const endMs = Date.now();

  const delays = fleet.flatMap((client) => {
    const atMs = client.acknowledgedSince(heardFromMs);
    return atMs === undefined ? [] : [{ id: client.id, ms: Math.max(0, atMs - backAtMs) }];
  });
  const late = delays.filter(({ ms }) => ms > boundMs).map(({ id, ms }) => `${id} after ${ms} ms`);
  const violations = [];
  if (late.length > 0) violations.push(`acknowledged too late: ${name(late)}`);
  if (silent.length > 0) violations.push(`never acknowledged: ${name(silent.map(({ id }) => id))}`);
  if (wholeMs === undefined) violations.push(`not listed as active: ${name(roll?.missing ?? ['anybody'])}`);
  else if (wholeMs > boundMs + LOOK_MS) violations.push(`all were listed as active after ${wholeMs} ms only`);
  return { clientsMs: delays.map(({ ms }) => ms), wholeMs, endMs, roll, violations };
}

/** @param {readonly string[]} items */
export function name(items) {
  const more = items.length - MAX_NAMED;
  return items.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
