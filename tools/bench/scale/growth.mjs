/**
 * The exponent k where values grow like N to the power of k: the slope of the line of least squares through the
 * logarithms of both. 1 is linear, 0 does not grow.
 * @param {readonly (readonly [count: number, value: number])[]} points
 * @returns {number} NaN where there are less than two points
 */
export function growthOf(points) {
  const logs = points
    .filter(([, value]) => value > 0)
    .map(([x, y]) => /** @type {const} */ ([Math.log(x), Math.log(y)]));
  const mean = (/** @type {0 | 1} */ axis) => logs.reduce((sum, log) => sum + log[axis], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return covariance / variance;
}
