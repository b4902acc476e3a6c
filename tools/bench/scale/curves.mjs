import { median } from '../report/statistics.mjs';
import { growthOf } from './growth.mjs';

const MIB = 1024 * 1024;

/** @typedef {import('./play.mjs').Played} Played */
/** @typedef {import('./play.mjs').Stretch} Stretch */

/**
 * What is told of each number of membranes, and how it grows.
 * @type {{ panel: string; name: string; unit: string; valuesOf: (played: Played) => number[] }[]}
 */
const MEASURES = [
  {
    panel: 'Processor',
    name: 'a played second',
    unit: '% of a core',
    valuesOf: each((one) => one.cpuPercent),
  },
  { panel: 'Memory', name: 'resident set', unit: 'MiB', valuesOf: ({ memory }) => [memory.rss / MIB] },
  { panel: 'Memory', name: 'heap', unit: 'MiB', valuesOf: ({ memory }) => [memory.heapUsed / MIB] },
  { panel: 'Event-loop delay', name: 'p50', unit: 'ms', valuesOf: each((one) => one.delayMs.p50) },
  { panel: 'Event-loop delay', name: 'p99', unit: 'ms', valuesOf: each((one) => one.delayMs.p99) },
  { panel: 'Event-loop delay', name: 'longest', unit: 'ms', valuesOf: each((one) => one.delayMs.longest) },
  { panel: 'Start', name: 'until all are loaded', unit: 's', valuesOf: ({ startMs }) => [startMs / 1_000] },
  ...['p50', 'p99'].flatMap((part) =>
    /** @type {const} */ (['discover', 'heartbeats', 'register']).map((call) => ({
      panel: `A call, ${part}`,
      name: call === 'heartbeats' ? '1,000 heartbeats' : call,
      unit: 'ms',
      valuesOf: each(({ calls }) => calls[call][/** @type {'p50'} */ (part)]),
    })),
  ),
];

const heldBy = (/** @type {Played} */ { count }) => `${count.toLocaleString('en-US')} held`;

/** @param {(stretch: Stretch) => number} valueOf */
function each(valueOf) {
  // With few membranes not every stretch has a batch of heartbeats.
  return (/** @type {Played} */ { stretches }) => stretches.map(valueOf).filter(Number.isFinite);
}

/**
 * @param {readonly Played[]} runs from the fewest membranes to the most
 * @returns {import('../suites.mjs').SuiteResult}
 */
export function drawScale(runs) {
  /** @type {import('../report/report.mjs').Figure[]} */
  const figures = [];
  /** @type {import('../report/report.mjs').Figure[]} */
  const growths = [];
  /** @type {Map<string, import('../report/report.mjs').Plot>} */
  const plots = new Map();
  for (const { panel, name, unit, valuesOf } of MEASURES) {
    const points = runs.map((run) => /** @type {[number, number]} */ ([run.count, median(valuesOf(run))]));
    const [few, many] = [runs[0], runs.at(-1)];
    if (few === undefined || many === undefined) continue;
    const what = `${panel}, ${name}`;
    figures.push({
      what: `${what}, ${heldBy(many)}`,
      value: points.at(-1)?.[1] ?? Number.NaN,
      unit,
      reference: points[0]?.[1],
      referenceName: heldBy(few),
      target: '',
      samples: valuesOf(many),
      referenceSamples: valuesOf(few),
    });
    growths.push({ what: `${what}: grows like N to the`, value: growthOf(points), unit: '', target: '' });
    const plot = plots.get(panel) ?? { title: panel, xTitle: 'membranes held', unit, curves: [] };
    plot.curves.push({ name, points });
    plots.set(panel, plot);
  }
  figures.push({
    what: 'most that it kept up with',
    value: runs.at(-1)?.count ?? 0,
    unit: 'membranes',
    target: '',
  });
  return { figures: [...figures, ...growths], plots: [...plots.values()] };
}
