import { formatNumber } from './report.mjs';
import { box, line, text, WIDTH } from './svg.mjs';
import { aimOf, reached } from './target.mjs';

const ROW = 20;
const TOP = 66;
/** Names stand on the left of the bars, numbers on the right. */
const LEFT = 380;
const RIGHT = 380;
/** Beyond which a bar ends: 8 times as good as its target, or as bad. */
const FARTHEST = 8;
const TICKS = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8];
/** In letters, of which one takes about 6 pixels. */
const LONGEST = { name: 58, reference: 32 };

const place = (/** @type {number} */ times) => {
  const held = Math.min(FARTHEST, Math.max(1 / FARTHEST, times));
  const part = (Math.log(held) / Math.log(FARTHEST) + 1) / 2;
  return LEFT + part * (WIDTH - LEFT - RIGHT);
};

/**
 * A bar for each figure that has a target: from the target to what was reached, to the right where that is better.
 * @param {readonly { suite: string; figures: readonly import('./report.mjs').Figure[] }[]} suites
 * @returns {import('./svg.mjs').Drawing[]} none where nothing has a target
 */
export function drawReached(suites) {
  const rows = suites.flatMap(({ suite, figures }) => {
    const bars = figures.flatMap((figure) => {
      const aim = aimOf(figure);
      return aim === undefined ? [] : [{ figure, aim }];
    });
    return bars.length === 0 ? [] : [{ name: suite }, ...bars];
  });
  if (rows.length === 0) return [];
  const bottom = TOP + rows.length * ROW;
  const parts = [
    text('Measured beside the target', { x: 20, y: 28, kind: 'title' }),
    text('times as good as the target', { x: place(1), y: 46, anchor: 'middle', kind: 'note' }),
    text('measured, × reference where it is a ratio (target)', {
      x: WIDTH - RIGHT + 24,
      y: TOP - 6,
      kind: 'note',
    }),
  ];
  for (const tick of TICKS) {
    const label = tick < 1 ? `1/${1 / tick}` : `${tick}`;
    parts.push(line(tick === 1 ? 'axis' : 'grid', place(tick), TOP, place(tick), bottom));
    parts.push(text(label, { x: place(tick), y: TOP - 6, anchor: 'middle', kind: 'note' }));
  }
  rows.forEach((row, index) => {
    const y = TOP + index * ROW;
    if ('name' in row) parts.push(text(row.name, { x: 20, y: y + 15, kind: 'note' }));
    else parts.push(drawBar(row.figure, row.aim, y));
  });
  return [{ svg: parts.join('\n'), height: bottom + 16 }];
}

/** @param {import('./report.mjs').Figure} figure @param {import('./target.mjs').Aim} aim @param {number} y */
function drawBar(figure, aim, y) {
  const times = reached(aim);
  const [from, to] = [place(1), place(times)];
  const { what, unit, referenceName = '', target } = figure;
  const measured = aim.isRatio
    ? `${aim.measured.toFixed(2)} × ${cut(referenceName, LONGEST.reference)}`
    : `${formatNumber(aim.measured)} ${unit}`.trim();
  return [
    text(cut(what, LONGEST.name), { x: LEFT - 10, y: y + 15, anchor: 'end' }),
    box(times >= 1 ? 'good' : 'bad', Math.min(from, to), y + 4, Math.max(Math.abs(to - from), 2), ROW - 8),
    text(`${measured} (${target})`, { x: WIDTH - RIGHT + 24, y: y + 15 }),
  ].join('\n');
}

/** @param {string} words @param {number} length */
function cut(words, length) {
  return words.length > length ? `${words.slice(0, length - 1)}…` : words;
}
