/** In the order in which they run. Each is the file of its name here, which is loaded once it is asked for. */
export const SUITE_NAMES = ['registry', 'messages', 'watch', 'cli', 'scale', 'client', 'balancing'];

/**
 * @typedef {{ short: boolean; onProgress: (line: string) => void }} SuiteOptions
 * @typedef {object} SuiteResult
 * @property {import('./report/report.mjs').Figure[]} figures
 * @property {import('./report/report.mjs').Plot[]} [plots]
 */

/**
 * @param {string} name
 * @param {SuiteOptions} options
 * @returns {Promise<SuiteResult>} rejects where it cannot measure here
 */
export async function runSuite(name, options) {
  const suites = await import(new URL(`${name}/${name}-suite.mjs`, import.meta.url).href);
  const result = await suites[`${name}Suite`](options);
  return Array.isArray(result) ? { figures: result } : result;
}
