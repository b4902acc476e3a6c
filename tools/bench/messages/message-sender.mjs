// The sender of a subject: node message-sender.mjs SUBJECT PLACE ADDRESS. Does what its parent process asks for.
import { setTimeout as sleep } from 'node:timers/promises';
import { SUBJECTS } from './message-subjects.mjs';
import { tellMemory } from '../process/memory.mjs';
import { median } from '../report/report.mjs';

/** About 200 bytes as JSON. */
const PAYLOAD = { degrees: 200, dish: 'bread', note: 'x'.repeat(150) };

const [name = '', place = '{}', address = ''] = process.argv.slice(2);
const sender = await SUBJECTS[name]?.connect(JSON.parse(place), address);
if (sender === undefined) throw new Error(`no subject ${name}`);

/** Median of single messages, in microseconds. @param {number} count */
async function latency(count) {
  /** @type {number[]} */
  const took = [];
  for (let sent = 0; sent < count; sent += 1) {
    const startMs = performance.now();
    await sender?.send(PAYLOAD);
    took.push((performance.now() - startMs) * 1_000);
  }
  return median(took);
}

/** Messages a second, so many under way. @param {number} count @param {number} atOnce */
async function rate(count, atOnce) {
  let left = count;
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left > 0) {
        left -= 1;
        await sender?.send(PAYLOAD);
      }
    }),
  );
  return (count / (performance.now() - startMs)) * 1_000;
}

tellMemory();
process.on(
  'message',
  async (/** @type {{ what: string; count: number; atOnce?: number }} */ { what, count, atOnce = 1 }) => {
    const value = what === 'latency' ? await latency(count) : await rate(count, atOnce);
    // Whatever is still on its way is no part of the next figure.
    await sleep(50);
    process.send?.({ value });
  },
);
process.once('disconnect', () => process.exit());
process.send?.({ ready: true });
