// Messages between processes over each mode, while receivers are killed with SIGKILL and restarted, and stopped for a
// while; then senders with an outbox too. Every message is handled or a dead letter; no run of a receiver handles one
// twice, or a stream out of its order.
import { endProcess, makeDirectory, removeDirectory } from './leftovers.mjs';
import { MessageSoak } from './message-soak.mjs';
import { startRegistry } from './registry-process.mjs';

export const MODES = /** @type {const} */ (['ipc', 'network', 'shared-volume', 'mailbox']);

const PROGRESS_MS = 5_000;

/** Who is there, by turns, and which part of the messages they send: each one of an outbox costs an fsync. */
const FULL = {
  turns: [
    { part: 0.8, senders: 4, outboxes: 0 },
    { part: 0.2, senders: 4, outboxes: 4 },
  ],
  treatment: {
    receivers: 3,
    windowSize: 100,
    faults: 40,
    maxAwayMs: 4_000,
    timeoutMs: 120_000,
    drainMs: 180_000,
  },
};
const SHORT = {
  turns: [{ part: 1, senders: 2, outboxes: 1 }],
  treatment: { receivers: 2, windowSize: 20, faults: 4, maxAwayMs: 500, timeoutMs: 60_000, drainMs: 60_000 },
};

/**
 * @param {object} options
 * @param {string} options.mode one of `MODES`, or `all`
 * @param {number} options.count messages of each mode
 * @param {number} options.seed
 * @param {boolean} options.short
 * @param {(line: string) => void} options.onProgress
 */
export async function messages({ mode, count, seed, short, onProgress }) {
  const data = await makeDirectory();
  const { child, url: registryUrl } = await startRegistry({ data });
  const { turns, treatment } = short ? SHORT : FULL;
  const soaks = [];
  for (const chosen of mode === 'all' ? MODES : [/** @type {MODES[number]} */ (mode)]) {
    for (const [turn, { part, ...crew }] of turns.entries()) {
      const soak = new MessageSoak({
        ...treatment,
        ...crew,
        mode: chosen,
        registryUrl,
        namespace: `${chosen}-${turn}`,
        count: Math.ceil(count * part),
        seed,
      });
      const timer = setInterval(() => onProgress(`${chosen}: ${soak.progress}`), PROGRESS_MS);
      soaks.push(await soak.run());
      clearInterval(timer);
    }
  }
  await endProcess(child, 'SIGKILL');
  removeDirectory(data);
  const violations = soaks.flatMap((soak) => soak.violations.map((text) => `${soak.mode}: ${text}`));
  return { seed, count, soaks, violations };
}
