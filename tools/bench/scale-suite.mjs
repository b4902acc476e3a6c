import { drawScale } from './scale/curves.mjs';
import { NotKeptUp, play } from './scale/play.mjs';

/**
 * Heartbeats, churn, discoveries and registrations are played so many times as fast as they would come, so that a minute
 * has enough of them also with few membranes. The processor time is told by second of played time; what does not depend
 * on the members, as a timer, is told too low by it, and what calls wait for one another, too high.
 */
const FULL = { speed: 3, counts: [10_000, 100_000, 1_000_000], seconds: 15, stretches: 3 };
const SHORT = { speed: 5, counts: [1_000, 10_000], seconds: 2, stretches: 3 };

/**
 * How the cost of one registry grows with the number of membranes that it holds.
 * @param {import('./suites.mjs').SuiteOptions} options
 * @returns {Promise<import('./suites.mjs').SuiteResult>}
 */
export async function scaleSuite({ short, onProgress }) {
  const { counts, ...extent } = short ? SHORT : FULL;
  const runs = [];
  for (const count of counts) {
    try {
      runs.push(await play(count, { ...extent, onProgress }));
    } catch (error) {
      if (!(error instanceof NotKeptUp) || runs.length === 0) throw error;
      onProgress(`${count.toLocaleString('en-US')}: ${error.message}`);
      break;
    }
  }
  return drawScale(runs);
}
