// The parts of a registry that decide, apply and tell of changes, with many reads that wait for what does not happen:
// node idle-reads-host.mjs COUNT. Without HTTP, since no process has a hundred thousand sockets to spare, and with a
// store in memory, so that no disk hides what the reads cost. It tells what a change takes.
import { SYSTEM_CLOCK } from '../../../packages/registry/dist/clock.js';
import { CommandQueue } from '../../../packages/registry/dist/service/command-queue.js';
import { RegistryService } from '../../../packages/registry/dist/service/registry-service.js';
import { RegistryState } from '../../../packages/registry/dist/service/registry-state.js';
import { TombstoneSweeper } from '../../../packages/registry/dist/service/tombstone-sweeper.js';
import { Watching } from '../../../packages/registry/dist/service/watching.js';
import { MemoryMembraneStore } from '../../../packages/registry/dist/store/memory-membrane-store.js';

const IDS = 1_000;
const IN_FLIGHT = 64;
const WAIT_MS = 600_000;
const QUOTAS = { maxMessages: 1_000, maxBytes: 1_000_000, maxTotalBytes: 1_000_000 };

const clock = SYSTEM_CLOCK;
const store = new MemoryMembraneStore();
const raise = (/** @type {unknown} */ error) => {
  throw error;
};
const state = new RegistryState({ clock, tickMs: 100, onRecovery: () => undefined });
const queue = new CommandQueue({
  store,
  state: state.view,
  apply: (change, revision) => {
    state.apply(change, revision);
    tombstones.noteChange(change);
    watching.noteChange(change, revision);
  },
  onStoreHealth: (error) => void (error !== undefined && raise(error)),
});
const tombstones = new TombstoneSweeper({ state, queue, clock, quotas: QUOTAS });
const service = new RegistryService({ state, queue, clock, tombstones, heartbeatIntervalMs: 86_400_000 });
const watching = new Watching({
  state,
  clock,
  random: Math.random,
  maxStreams: 1,
  maxBufferBytes: 1_048_576,
  maxTotalBufferBytes: 268_435_456,
  pace: {},
  onError: raise,
});

/** @param {string} id @param {string | null} parent */
const register = (id, parent) =>
  service.register({
    id,
    parent,
    endpoint: `http://10.0.0.1:8080/member/${id}`,
    communication_mode: 'network',
    metadata: { a: 1 },
  });

/** So many reads that wait: each second one for an id, the others for the children of one. */
function wait(/** @type {number} */ count) {
  const since = { logId: undefined, revision: state.revision };
  for (let index = 0; index < count; index += 1) {
    const kind = index % 2 === 0 ? 'node' : 'children';
    const scope = /** @type {const} */ ({ kind, namespace: 'default', id: `quiet-${index % IDS}` });
    const read = { scope, since, waitMs: WAIT_MS, minRevision: undefined, isMissing: () => false };
    watching.reads.wait(read, new AbortController().signal, () => raise(new Error('a read was woken')));
  }
  if (watching.reads.size !== count) throw new Error(`${watching.reads.size} reads wait, not ${count}`);
}

/** Microseconds a change. @param {number} count */
async function change(count) {
  let made = 0;
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let next = made; next < count; next = made) {
        made += 1;
        await register(`busy-${next % IDS}`, 'kitchen');
      }
    }),
  );
  return ((performance.now() - startMs) * 1_000) / count;
}

await state.load(store, Math.random);
tombstones.start();
for (const [name, parent] of [
  ['quiet', 'hall'],
  ['busy', 'kitchen'],
]) {
  await register(parent, 'house');
  for (let index = 0; index < IDS; index += 1) await register(`${name}-${index}`, parent);
}
wait(Number(process.argv[2]));

process.on('message', async (/** @type {{ count: number }} */ { count }) => {
  process.send?.({ value: await change(count) });
});
process.once('disconnect', () => process.exit());
process.send?.({ ready: true });
