// What a batch of renewals comes to at least: node lookup-alone.mjs HELD. Parses the bodies of batches, looks each id up
// among those held, and writes a number; no HTTP, no leases. Tells its parent process how many a second.
import { BATCH, batchBodies, idOf } from './bench-requests.mjs';

const held = Number(process.argv[2]);
const leases = new Map(Array.from({ length: held }, (_, number) => [idOf(number), { renewedAtMs: 0 }]));
const bodies = batchBodies(held);
let next = 0;

process.on('message', (/** @type {{ seconds: number }} */ { seconds }) => {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let batches = 0;
  let nowMs = startMs;
  for (; nowMs < endMs; nowMs = performance.now()) {
    for (const { id } of JSON.parse(bodies[next]).heartbeats) {
      const lease = leases.get(id);
      if (lease === undefined) throw new Error(`${id} is not held`);
      lease.renewedAtMs = nowMs;
    }
    batches += 1;
    next = (next + 1) % bodies.length;
  }
  process.send?.({ value: (batches * BATCH * 1_000) / (nowMs - startMs) });
});
process.once('disconnect', () => process.exit());
process.send?.({ ready: true });
