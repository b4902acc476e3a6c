// Many clients, each a process of its own, and a registry that is killed, stopped, suspended, emptied and rolled back
// again and again. After each return every client must be registered and active within a bound, under its own process,
// and stay so until the next fault; a lease goes on where the registry kept its data.
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_BACKOFF_MS, MAX_REGISTRATION_SPREAD_MS } from '../../packages/client/dist/backoff.js';
import { startFleet } from './client-fleet.mjs';
import { ClientsReport } from './clients-report.mjs';
import { MemorySample } from './memory-sample.mjs';
import { createBag, createRandom } from './random.mjs';
import { awaitRecovery, LOOK_MS, name } from './recovery.mjs';
import { RequestMeter } from './request-meter.mjs';
import { RollCall } from './roll-call.mjs';
import { FAULTS, TroubledRegistry } from './troubled-registry.mjs';

const INTERVAL_MS = 1_000;

/** A client waits at most one interval until it asks, and once more: its call failed, or it lost its registration. */
const WAITS_MS = INTERVAL_MS + Math.min(INTERVAL_MS, Math.max(MAX_BACKOFF_MS, MAX_REGISTRATION_SPREAD_MS));

/** Longer than a lease. */
const MAX_AWAY_MS = 6_000;
/** Of the run. */
const MAX_AWAY_PART = 0.05;
const MAX_REST_MS = 2_000;
/** How often the next fault does not wait until the last one is got over. */
const IMPATIENCE = 0.2;
const SAMPLED_CLIENTS = 20;

/**
 * @param {{ clients: number; seconds: number; allowance: number; seed: number; onProgress: (line: string) => void }}
 * options `allowance`: milliseconds for the processor, which all want at the same moment
 */
export async function clients({ clients: count, seconds, allowance: allowanceMs, seed, onProgress }) {
  const random = createRandom(seed);
  const meter = new RequestMeter();
  const registry = new TroubledRegistry({
    random,
    // Most of a short run too is getting over it.
    maxAwayMs: Math.min(MAX_AWAY_MS, seconds * 1_000 * MAX_AWAY_PART),
    // Looking is none of the clients' doing.
    onAnswered: (atMs, path) => path !== '/list' && meter.note(atMs),
  });
  const boundMs = WAITS_MS + allowanceMs;
  const report = new ClientsReport({
    clients: count,
    seconds,
    seed,
    intervalMs: INTERVAL_MS,
    waitsMs: WAITS_MS,
    allowanceMs,
  });

  await registry.start();
  const ids = Array.from({ length: count }, (_, index) => `client-${index}`);
  const half = Math.ceil(count / 2);
  const start = (/** @type {string[]} */ some) =>
    startFleet({ registryUrl: registry.url, ids: some, intervalMs: INTERVAL_MS });
  const fleet = await start(ids.slice(0, half));
  // So that there is a copy which knows half of them.
  await registry.stopped();
  fleet.push(...(await start(ids.slice(half))));
  onProgress(`${count} clients are registered`);

  const rollCall = new RollCall(registry.url, new Map(fleet.map(({ id, pid }) => [id, pid])), report.violate);
  const memory = new MemorySample(fleet.slice(0, SAMPLED_CLIENTS).map(({ pid }) => pid));
  memory.start();
  const drawFault = createBag(FAULTS, random);
  const endAtMs = Date.now() + seconds * 1_000;
  for (let turn = 1, isOver = false; !isOver; turn += 1) {
    const kind = drawFault();
    const before = await rollCall.take();
    const back = await registry[kind]();
    // However slow the machine is, all kinds of faults have their turn.
    isOver = turn >= FAULTS.length && Date.now() >= endAtMs;
    if (!isOver && random() < IMPATIENCE) {
      report.noteFault(kind, undefined);
      await sleep(random() * boundMs);
      continue;
    }
    const recovery = await awaitRecovery({ fleet, rollCall, back, boundMs });
    report.noteFault(kind, { ...recovery, requests: meter.rate(back.backAtMs, recovery.endMs) });
    if (back.keepsLeases) report.violate(findLostLeases(before, recovery.roll));
    const restedAtMs = Date.now();
    await rest(rollCall, random() * MAX_REST_MS, report.violate);
    report.noteRest(meter.rate(restedAtMs, Date.now()));
    onProgress(report.progress);
  }
  memory.stop();

  for (const client of fleet) report.noteClient(client);
  await Promise.all(fleet.map((client) => client.kill()));
  await registry.close();
  return report.summarize(memory.report());
}

/**
 * Nothing happens, so nobody may go missing.
 * @param {RollCall} rollCall
 * @param {number} forMs
 * @param {(text: string) => void} onViolation
 */
async function rest(rollCall, forMs, onViolation) {
  for (const endMs = Date.now() + forMs; Date.now() < endMs; await sleep(LOOK_MS)) {
    const roll = await rollCall.take();
    if (roll === undefined) onViolation('the registry did not answer, and nothing was done to it');
    else if (roll.missing.length > 0) onViolation(`not active, and nothing was done: ${name(roll.missing)}`);
  }
}

/**
 * @param {import('./roll-call.mjs').Roll | undefined} before
 * @param {import('./roll-call.mjs').Roll | undefined} after
 * @returns {string | undefined}
 */
function findLostLeases(before, after) {
  const lost = [...(before?.incarnations ?? [])].filter(
    ([id, incarnation]) => after !== undefined && after.incarnations.get(id) !== incarnation,
  );
  if (lost.length === 0) return undefined;
  return `lost the lease to a registry that kept its data: ${name(lost.map(([id]) => id))}`;
}
