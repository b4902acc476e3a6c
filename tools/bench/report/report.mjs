import { median, quantile, spread } from './statistics.mjs';

export { median, quantile };

/**
 * @typedef {object} Figure
 * @property {string} what
 * @property {number} value
 * @property {string} unit
 * @property {number} [reference] measured in the same run
 * @property {string} [referenceName]
 * @property {string} target
 * @property {readonly number[]} [samples] the value of each round
 * @property {readonly number[]} [referenceSamples]
 */

/**
 * Curves over one quantity, both axes logarithmic.
 * @typedef {object} Plot
 * @property {string} title
 * @property {string} xTitle
 * @property {string} unit of what the curves show
 * @property {{ name: string; points: [x: number, y: number][] }[]} curves
 */

/**
 * @param {string} suite
 * @param {readonly Figure[]} figures
 */
export function formatReport(suite, figures) {
  const rows = figures.map(({ what, value, unit, reference, referenceName, target, ...rounds }) => [
    what,
    `${formatNumber(value)} ${unit}`,
    reference === undefined ? '' : `${formatNumber(reference)} ${unit} (${referenceName})`,
    reference === undefined ? '' : (value / reference).toFixed(2),
    formatSpread(rounds.samples, rounds.referenceSamples),
    target,
  ]);
  const heads = ['figure', 'measured', 'reference', 'ratio', 'spread', 'target'];
  return [`== ${suite}, node ${process.version}`, ...formatTable([heads, ...rows])].join('\n');
}

/**
 * How far the rounds were apart; after a slash, those of the reference.
 * @param {readonly number[] | undefined} samples
 * @param {readonly number[] | undefined} referenceSamples
 */
function formatSpread(samples, referenceSamples) {
  return [spread(samples), spread(referenceSamples)]
    .filter((part) => part !== undefined)
    .map((part) => `${(part * 100).toFixed(0)}%`)
    .join(' / ');
}

/** @param {readonly (readonly string[])[]} rows @returns {string[]} a line each, its cells one below the other */
export function formatTable(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** @param {number} value */
export function formatNumber(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value !== 0 && Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(2);
}
