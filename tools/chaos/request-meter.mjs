const WINDOW_MS = 100;

/** When a registry answered requests. */
export class RequestMeter {
  /** @type {number[]} */
  #answeredAtMs = [];

  /** @param {number} atMs */
  note(atMs) {
    this.#answeredAtMs.push(atMs);
  }

  /**
   * Requests in 100 ms: the most in any, and the mean. A stampede has a peak far above the mean.
   * @param {number} fromMs
   * @param {number} toMs
   */
  rate(fromMs, toMs) {
    const times = this.#answeredAtMs.filter((atMs) => atMs >= fromMs && atMs < toMs);
    let peak = 0;
    for (let first = 0, last = 0; last < times.length; last += 1) {
      while (times[last] - times[first] >= WINDOW_MS) first += 1;
      peak = Math.max(peak, last - first + 1);
    }
    return { peak, mean: (times.length * WINDOW_MS) / (toMs - fromMs) };
  }
}
