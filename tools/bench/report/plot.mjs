import { drawReached } from './reached-plot.mjs';
import { drawCurves } from './curves-plot.mjs';
import { describeRun } from './run-record.mjs';
import { text, WIDTH, wrapSvg } from './svg.mjs';

/**
 * The figures of a run beside their targets, and its curves, as one SVG file. By hand: what draws SVG without a browser
 * among the kept libraries (echarts) takes 50 MB in node_modules, which is more than all the rest of this bench.
 * @param {import('./run-record.mjs').RunRecord} record
 */
export function drawRun(record) {
  /** @type {string[]} */
  const parts = [];
  let top = 0;
  const results = Object.entries(record.suites);
  for (const part of [
    ...drawReached(results.map(([suite, { figures }]) => ({ suite, figures }))),
    ...results.flatMap(([, { plots }]) => drawCurves(plots ?? [])),
  ]) {
    parts.push(`<g transform="translate(0 ${top})">${part.svg}</g>`);
    top += part.height;
  }
  parts.push(text(describeRun(record), { x: WIDTH / 2, y: top + 14, anchor: 'middle', kind: 'note' }));
  return wrapSvg(parts.join('\n'), top + 30);
}
