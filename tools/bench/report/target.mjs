/**
 * What a figure aims at, read from the words of its target: "0.90 or better", "at most 2,048", "0.80 to 1.25".
 * @typedef {object} Aim
 * @property {number} limit the nearer one where there are two
 * @property {boolean} isFloor true where more is better
 * @property {number} measured what the limit is about: the ratio to the reference, or the value itself
 * @property {boolean} isRatio
 */

/** Words of targets that are about the value itself, though it has a reference. */
const ABOUT_VALUE = /^(?:at most|at least|under)\b/;
const FLOOR = /at least|or better|or more|above/;
const NUMBER = /\d[\d,]*(?:\.\d+)?/g;
/** Other words may have numbers in them that are no targets. */
const IS_TARGET = /^(?:(?:at most|at least|under|below|above) )?\d/;

/**
 * @param {import('./report.mjs').Figure} figure
 * @returns {Aim | undefined} undefined where it aims at nothing, or at nothing but zero
 */
export function aimOf({ value, unit, reference, target }) {
  if (!IS_TARGET.test(target)) return undefined;
  const limits = (target.match(NUMBER) ?? []).map((number) => Number(number.replaceAll(',', '')));
  const [limit, upper] = limits;
  if (limit === undefined || limit === 0) return undefined;
  const isRatio = reference !== undefined && !ABOUT_VALUE.test(target) && !isNumberOf(target, unit);
  const measured = isRatio ? value / reference : value;
  if (upper !== undefined && target.includes(' to ')) {
    const isFloor = measured - limit < upper - measured;
    return { limit: isFloor ? limit : upper, isFloor, measured, isRatio };
  }
  return { limit, isFloor: FLOOR.test(target), measured, isRatio };
}

/**
 * How far a target is reached: 1 where it just is, 2 where it is twice as good.
 * @param {Aim} aim
 */
export function reached({ limit, isFloor, measured }) {
  return isFloor ? measured / limit : limit / measured;
}

/** Whether a number in it has this unit: then it is no ratio. @param {string} target @param {string} unit */
function isNumberOf(target, unit) {
  return (
    unit !== '' &&
    [`0${unit}`, `0 ${unit}`].some((end) => `${target.replace(/\d/g, '0')} `.includes(`${end} `))
  );
}
