/** Of an even number of values, halfway between the two in the middle. @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
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
 * How far rounds of the same thing are apart: the highest less the lowest, as a part of the median. No deviation, since
 * there are three or five rounds.
 * @param {readonly number[] | undefined} values
 * @returns {number | undefined} undefined where there are no two of them
 */
export function spread(values) {
  if (values === undefined || values.length < 2) return undefined;
  const range = Math.max(...values) - Math.min(...values);
  return range === 0 ? 0 : range / Math.abs(median(values));
}
