import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { machineMs } from '../process/machine-clock.mjs';

const agent = new Agent({ keepAlive: true });

/**
 * Makes changes at an even pace, whether earlier ones have been answered or not.
 * @param {string} url
 * @param {import('./watch-subjects.mjs').WatchSubject} subject
 * @param {{ first: number; count: number; perSecond: number }} changes numbered from `first`
 * @returns {Promise<{ sentAtMs: number[]; errors: unknown[] }>} once all are answered: when each was sent, in milliseconds
 * of the machine's clock, and why those failed that did
 */
export async function writeChanges(url, subject, { first, count, perSecond }) {
  /** @type {number[]} */
  const sentAtMs = [];
  /** @type {Promise<void>[]} */
  const answers = [];
  /** @type {unknown[]} */
  const errors = [];
  const startMs = machineMs();
  for (let index = 0; index < count; index += 1) {
    const waitMs = startMs + (index * 1_000) / perSecond - machineMs();
    if (waitMs > 0) await sleep(waitMs);
    const { path, body } = subject.change(first + index);
    sentAtMs.push(machineMs());
    answers.push(post(`${url}${path}`, body).catch((error) => void errors.push(error)));
  }
  await Promise.all(answers);
  return { sentAtMs, errors };
}

/** @param {string} url @param {object} body @returns {Promise<void>} resolves when it is answered by 200 */
export function post(url, body) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const sent = request(url, { agent, method: 'POST', headers }, (response) => {
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${url} was answered by ${response.statusCode}`));
      });
      response.resume();
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
