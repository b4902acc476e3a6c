// One of several client processes: node load-process.mjs URL FIRST END COUNT INTERVAL_MS plays the membranes from number
// FIRST to below END of COUNT. Does what its parent process asks for.
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerParent } from '../process/answer-parent.mjs';
import { Calls } from './calls.mjs';
import { idOf, LEASE_TOKEN, lookedFor, registrationOf } from './population.mjs';
import { Share } from './share.mjs';

const [url = '', ...numbers] = process.argv.slice(2);
const [first = 0, end = 0, count = 0, intervalMs = 0] = numbers.map(Number);
const calls = new Calls(url);
const share = new Share(first, end);
const found = { renewed: 0, lost: 0, events: 0, errors: 0 };

/** @param {number} index */
async function renew(index) {
  const answer = await calls.call('heartbeats', '/heartbeat', share.heartbeats(index));
  if (answer === undefined) return;
  const { renewed, failed } = JSON.parse(answer.text);
  found.renewed += renewed;
  found.lost += failed.length;
}

/** One goes, and another comes in its place. */
async function replaceOne() {
  const number = share.pick();
  share.leave(number);
  await calls.call(
    'deregister',
    '/deregister',
    JSON.stringify({ id: share.idOf(number), lease_token: LEASE_TOKEN }),
  );
  const next = registrationOf(number, intervalMs, share.generationOf(number) + 1);
  const answer = await calls.call('register', '/register', JSON.stringify(next));
  if (answer?.status !== 200)
    throw new Error(`a registration was answered by ${answer?.status}: ${answer?.text}`);
  share.join(number);
}

async function discoverOne() {
  const number = lookedFor(count);
  // Whom others play may have been replaced meanwhile, which is as much work for the registry: nobody is found.
  await calls.call(
    'discover',
    `/discover/${number >= first && number < end ? share.idOf(number) : idOf(number)}`,
  );
}

/**
 * Acts at an even pace, whether earlier acts are done or not.
 * @param {number} perSecond
 * @param {(index: number) => Promise<void>} act
 */
async function keepUp(perSecond, act) {
  const startMs = performance.now();
  // The processes do not all act at the same instant.
  const phase = Math.random();
  for (let index = 0; ; index += 1) {
    const waitMs = startMs + ((index + phase) * 1_000) / perSecond - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    act(index).catch(() => (found.errors += 1));
  }
}

/** @type {Record<string, (what: any) => Promise<unknown>>} */
const TASKS = {
  async watch({ subtrees }) {
    await Promise.all(
      subtrees.map(
        (/** @type {string} */ subtree) =>
          /** @type {Promise<void>} */ (
            new Promise((resolve, reject) => {
              get(`${url}/watch?subtree=${subtree}`, { agent: false }, (response) => {
                response.on('data', (chunk) => (found.events += chunk.toString().split('\nid:').length - 1));
                response.on('error', reject);
                if (response.statusCode === 200) resolve();
                else reject(new Error(`a watch was answered by ${response.statusCode}`));
              }).on('error', reject);
            })
          ),
      ),
    );
  },
  async play({ churnPerSecond, discoversPerSecond }) {
    void keepUp((share.batches * 1_000) / intervalMs, (index) => renew(index % share.batches));
    if (churnPerSecond > 0) void keepUp(churnPerSecond, replaceOne);
    void keepUp(discoversPerSecond, discoverOne);
  },
  /** What happened since it was last asked. */
  async window() {
    const answer = { ...found, ...calls.collect() };
    Object.assign(found, { renewed: 0, lost: 0, events: 0, errors: 0 });
    return answer;
  },
};

answerParent(TASKS);
process.send?.({ ready: true });
