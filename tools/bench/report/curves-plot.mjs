import { formatNumber } from './report.mjs';
import { colourOf, line, round, text, WIDTH } from './svg.mjs';

const HEIGHT = 300;
const COLUMNS = 2;
const PANEL = WIDTH / COLUMNS;
const MARGIN = { left: 70, right: 24, top: 62, bottom: 48 };

/** @typedef {import('./report.mjs').Plot} Plot */

/**
 * Panels in two columns.
 * @param {readonly Plot[]} plots
 * @returns {import('./svg.mjs').Drawing[]} a row each
 */
export function drawCurves(plots) {
  // A logarithmic axis has no place for a panel of nothing but zeros.
  const shown = plots.filter(({ curves }) =>
    curves.some(({ points }) => points.some(([, value]) => value > 0)),
  );
  /** @type {import('./svg.mjs').Drawing[]} */
  const rows = [];
  for (let first = 0; first < shown.length; first += COLUMNS) {
    const panels = shown
      .slice(first, first + COLUMNS)
      .map((plot, column) => `<g transform="translate(${column * PANEL} 0)">${drawPanel(plot)}</g>`);
    rows.push({ svg: panels.join('\n'), height: HEIGHT });
  }
  return rows;
}

/** @param {Plot} plot */
function drawPanel({ title, xTitle, unit, curves }) {
  const points = curves.flatMap((curve) => curve.points);
  const x = axis(
    points.map(([value]) => value),
    MARGIN.left,
    PANEL - MARGIN.right,
  );
  const y = axis(
    points.map(([, value]) => value),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  );
  const [left, right, top, bottom] = [MARGIN.left, PANEL - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];
  const parts = [
    text(`${title}, ${unit}`, { x: 20, y: 28, kind: 'title' }),
    text(xTitle, { x: (left + right) / 2, y: HEIGHT - 12, anchor: 'middle', kind: 'note' }),
  ];
  for (const tick of x.ticks) {
    parts.push(line('grid', x.place(tick), top, x.place(tick), bottom));
    parts.push(text(shorten(tick), { x: x.place(tick), y: bottom + 16, anchor: 'middle', kind: 'note' }));
  }
  for (const tick of y.ticks) {
    parts.push(line('grid', left, y.place(tick), right, y.place(tick)));
    parts.push(text(shorten(tick), { x: left - 6, y: y.place(tick) + 4, anchor: 'end', kind: 'note' }));
  }
  parts.push(line('axis', left, bottom, right, bottom), line('axis', left, top, left, bottom));
  let legend = left;
  curves.forEach((curve, index) => {
    const colour = colourOf(index);
    const placed = curve.points.map(([atX, atY]) => [round(x.place(atX)), round(y.place(atY))]);
    parts.push(
      `<polyline class="line c${colour}" points="${placed.map((point) => point.join(',')).join(' ')}"/>`,
    );
    for (const [atX, atY] of placed) parts.push(`<circle class="f${colour}" cx="${atX}" cy="${atY}" r="3"/>`);
    parts.push(`<circle class="f${colour}" cx="${legend + 4}" cy="44" r="4"/>`);
    parts.push(text(curve.name, { x: legend + 12, y: 48, kind: 'note' }));
    // About what a letter of this size takes.
    legend += 26 + curve.name.length * 6;
  });
  return parts.join('\n');
}

/**
 * A logarithmic axis in whole decades; where there are less than two, by 1, 2, 5.
 * @param {number[]} values
 * @param {number} from
 * @param {number} to
 */
function axis(values, from, to) {
  const shown = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const steps = Math.log10(high / low) < 2 ? [1, 2, 5] : [1];
  /** @type {number[]} */
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const step of steps) all.push(step * 10 ** power);
  }
  // The ticks from the last one that is not above the lowest value to the first that is not below the highest; they come
  // from powers of ten, which are not exact below one.
  const first = all.findLastIndex((tick) => tick <= low * 1.000001);
  const last = all.findIndex((tick) => tick >= high / 1.000001);
  const ticks = all.slice(Math.max(first, 0), (last === -1 ? all.length : Math.max(last, first + 1)) + 1);
  const [begin = 1, end = 10] = [ticks[0], ticks.at(-1)];
  const place = (/** @type {number} */ value) => {
    // What is nothing stands on the axis.
    const held = Math.max(value, begin);
    return from + ((to - from) * Math.log(held / begin)) / Math.log(end / begin);
  };
  return { ticks, place };
}

/** @param {number} value */
function shorten(value) {
  if (value >= 1e6) return `${round(value / 1e6)}M`;
  if (value >= 1e3) return `${round(value / 1e3)}k`;
  return value >= 1 ? String(round(value)) : formatNumber(value).replace(/0+$/, '');
}
