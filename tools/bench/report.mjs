/**
 * @typedef {object} Figure
 * @property {string} what
 * @property {number} value
 * @property {string} unit
 * @property {number} [reference] measured in the same run
 * @property {string} [referenceName]
 * @property {string} target
 */

/** @param {readonly number[]} values */
export function median(values) {
  return quantile(values, 0.5);
}

/**
 * The value below which this part of the values lies.
 * @param {readonly number[]} values
 * @param {number} part 0 to 1
 */
export function quantile(values, part) {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/**
 * @param {string} suite
 * @param {readonly Figure[]} figures
 */
export function formatReport(suite, figures) {
  const rows = figures.map(({ what, value, unit, reference, referenceName, target }) => [
    what,
    `${format(value)} ${unit}`,
    reference === undefined ? '' : `${format(reference)} ${unit} (${referenceName})`,
    reference === undefined ? '' : (value / reference).toFixed(2),
    target,
  ]);
  const table = [['figure', 'measured', 'reference', 'ratio', 'target'], ...rows];
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [`== ${suite}, node ${process.version}`, ...lines].join('\n');
}

/** @param {number} value */
function format(value) {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2);
}
