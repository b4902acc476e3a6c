import { formatNumber, formatTable } from './report.mjs';
import { median, spread } from './statistics.mjs';

/**
 * @typedef {object} Comparison of one figure in two trees
 * @property {string} what
 * @property {string} unit
 * @property {number} base median of its rounds
 * @property {number} tree median of its rounds
 * @property {number} change from base to tree, as a part of base
 * @property {number} noise how far rounds of one and the same tree were apart, of the tree where they were farther
 * @property {'better' | 'worse' | 'other' | 'none'} verdict `none` within the noise; `other` where no direction is known
 */

const MORE_IS_BETTER = new Set(['/s']);
const LESS_IS_BETTER = new Set(['s', 'ms', 'us', 'ns', 'bytes', 'KiB', 'MiB', 'MB']);

/**
 * A change counts where the medians are farther apart than the rounds of either tree were among themselves. Of
 * three rounds that differ by chance alone, six figures in a hundred pass for changed; of five, one in three hundred.
 * @param {readonly import('./report.mjs').Figure[][]} baseRounds the figures of each round
 * @param {readonly import('./report.mjs').Figure[][]} treeRounds
 * @returns {Comparison[]} of the figures that both have in at least two rounds
 */
export function compareRounds(baseRounds, treeRounds) {
  const [base, tree] = [valuesOf(baseRounds), valuesOf(treeRounds)];
  /** @type {Comparison[]} */
  const compared = [];
  for (const [what, { unit, values }] of tree) {
    const before = base.get(what)?.values ?? [];
    const [baseSpread, treeSpread] = [spread(before), spread(values)];
    if (baseSpread === undefined || treeSpread === undefined) continue;
    const medians = { base: median(before), tree: median(values) };
    const change = medians.tree === medians.base ? 0 : (medians.tree - medians.base) / Math.abs(medians.base);
    const noise = Math.max(baseSpread, treeSpread);
    compared.push({ what, unit, ...medians, change, noise, verdict: judge(change, noise, unit) });
  }
  return compared;
}

/** @param {number} change @param {number} noise @param {string} unit @returns {Comparison['verdict']} */
function judge(change, noise, unit) {
  if (Math.abs(change) <= noise) return 'none';
  if (MORE_IS_BETTER.has(unit)) return change > 0 ? 'better' : 'worse';
  if (LESS_IS_BETTER.has(unit)) return change < 0 ? 'better' : 'worse';
  return 'other';
}

/** @param {readonly import('./report.mjs').Figure[][]} rounds */
function valuesOf(rounds) {
  /** @type {Map<string, { unit: string; values: number[] }>} */
  const found = new Map();
  for (const { what, unit, value } of rounds.flat()) {
    const known = found.get(what);
    if (known === undefined) found.set(what, { unit, values: [value] });
    else known.values.push(value);
  }
  return found;
}

const WORDS = { better: 'better', worse: 'WORSE', other: 'changed', none: 'within the noise' };

/**
 * @param {string} suite
 * @param {string} baseName
 * @param {readonly Comparison[]} comparisons
 */
export function formatComparison(suite, baseName, comparisons) {
  const rows = comparisons.map(({ what, unit, base, tree, change, noise, verdict }) => [
    what,
    `${formatNumber(base)} ${unit}`,
    `${formatNumber(tree)} ${unit}`,
    `${change > 0 ? '+' : ''}${(change * 100).toFixed(1)}%`,
    `${(noise * 100).toFixed(1)}%`,
    WORDS[verdict],
  ]);
  const heads = ['figure', baseName, 'working tree', 'change', 'noise', ''];
  return [`== ${suite}, node ${process.version}`, ...formatTable([heads, ...rows])].join('\n');
}
