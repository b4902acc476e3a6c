// Many watchers of one server: node watchers.mjs SUBJECT URL. Does what its parent process asks for. They look for the
// numbers of changes and parse nothing else, so that one core does for a thousand of them.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerParent } from '../process/answer-parent.mjs';
import { machineMs } from '../process/machine-clock.mjs';
import { WATCH_SUBJECTS } from './watch-subjects.mjs';

const OPENED_AT_ONCE = 50;
const COLLECT_STEP_MS = 20;

const [name = '', url = ''] = process.argv.slice(2);
const subject = WATCH_SUBJECTS[/** @type {keyof typeof WATCH_SUBJECTS} */ (name)];
const { hostname, port, host } = new URL(url);
const marker = Buffer.from(subject.marker);
const wordLength = marker.length + subject.numberLength;

/** @type {import('node:net').Socket[]} */
let sockets = [];
/** The changes that are to be heard: how many watchers lack each, and when the last one had it. */
let expected = { first: 0, lacking: new Uint32Array(0), heardAtMs: new Float64Array(0), missed: 0 };

/** A watcher has heard of a change. @param {number} number */
function note(number) {
  const { first, lacking, heardAtMs } = expected;
  const index = number - first;
  const left = lacking[index];
  if (left === undefined || left === 0) return;
  lacking[index] = left - 1;
  if (left > 1) return;
  heardAtMs[index] = machineMs();
  expected.missed -= 1;
}

/** @param {import('node:net').Socket} socket */
function listen(socket) {
  /** @type {Buffer} */
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let end = 0;
    let at = bytes.indexOf(marker);
    while (at !== -1 && at + wordLength <= bytes.length) {
      end = at + wordLength;
      note(subject.toNumber(bytes.toString('latin1', at + marker.length, end)));
      at = bytes.indexOf(marker, end);
    }
    // What is looked for may lie on both sides of a cut.
    rest = Buffer.from(bytes.subarray(Math.max(end, bytes.length - wordLength + 1)));
  });
}

/** @returns {Promise<void>} */
function openOne() {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('a watch was refused')));
    socket.write(subject.watchRequest(host));
    let head = '';
    const onHead = (/** @type {Buffer} */ chunk) => {
      head += chunk.toString('latin1');
      if (!head.includes(subject.opened)) return;
      if (!head.startsWith('HTTP/1.1 200')) reject(new Error(`a watch was refused: ${head}`));
      socket.off('data', onHead);
      listen(socket);
      resolve();
    };
    socket.on('data', onHead);
  });
}

/** @type {Record<string, (what: any) => Promise<unknown>>} */
const TASKS = {
  async open({ count }) {
    for (let left = count; left > 0; left -= OPENED_AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(left, OPENED_AT_ONCE) }, openOne));
    }
  },
  async expect({ first, count }) {
    const lacking = new Uint32Array(count).fill(sockets.length);
    expected = { first, lacking, heardAtMs: new Float64Array(count), missed: count };
  },
  /** What was not heard by all in time counts as heard at the end of it. */
  async collect({ withinMs }) {
    const endMs = machineMs() + withinMs;
    while (expected.missed > 0 && machineMs() < endMs) await sleep(COLLECT_STEP_MS);
    const nowMs = machineMs();
    const heardAtMs = Array.from(expected.heardAtMs, (atMs) => (atMs === 0 ? nowMs : atMs));
    return { heardAtMs, missed: expected.missed };
  },
  async close() {
    for (const socket of sockets) socket.destroy();
    sockets = [];
  },
};

answerParent(TASKS);
process.send?.({ ready: true });
