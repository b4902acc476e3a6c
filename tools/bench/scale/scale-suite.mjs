import { drawScale } from './curves.mjs';
import { NotKeptUp, play } from './play.mjs';

/**
 * So many seconds are played in one, so that a minute has enough of them also with few membranes. More would keep a
 * registry with a million too busy: its curves are to show what it costs to hold them, not how it is when it is behind.
 */
const FULL = { speed: 2, counts: [10_000, 100_000, 1_000_000], seconds: 15, stretches: 3 };
const SHORT = { speed: 6, counts: [1_000, 10_000], seconds: 5, stretches: 2 };

/**
 * How the cost of one registry grows with the number of membranes that it holds.
 * @param {import('../suites.mjs').SuiteOptions} options
 * @returns {Promise<import('../suites.mjs').SuiteResult>}
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
