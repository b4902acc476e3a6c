import Table from 'cli-table3';
import type { Output } from './output.js';

export interface Column {
  readonly title: string;
  /** Gives way first where the terminal is too narrow; the last such column most. */
  readonly flexible?: boolean;
  /** Colours a cell that was fitted already. */
  readonly color?: (cell: string) => string;
}

const GAP = 2;
const MIN_FLEXIBLE_WIDTH = 8;

/**
 * Rows under titles on a terminal, no wider than it; elsewhere a line a row with tabs in between, for `cut` and
 * `awk`.
 */
export function formatTable(columns: readonly Column[], rows: readonly string[][], output: Output): string {
  if (!output.isTerminal) return rows.map((row) => row.join('\t')).join('\n');
  const widths = fitWidths(columns, rows, output.width);
  const table = new Table({
    head: columns.map(({ title }) => title),
    colWidths: widths.map((width, index) => width + (index === widths.length - 1 ? 0 : GAP)),
    chars: BORDERLESS,
    style: {
      'padding-left': 0,
      'padding-right': 0,
      head: output.isColored ? ['bold'] : [],
      border: [],
      compact: true,
    },
  });
  for (const row of rows) {
    table.push(
      row.map((cell, index) => {
        const fitted = truncate(cell, widths[index] ?? cell.length);
        return columns[index]?.color?.(fitted) ?? fitted;
      }),
    );
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function fitWidths(columns: readonly Column[], rows: readonly string[][], available: number): number[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  let surplus = widths.reduce((sum, width) => sum + width, 0) + GAP * (columns.length - 1) - available;
  for (let index = columns.length - 1; index >= 0 && surplus > 0; index -= 1) {
    if (columns[index]?.flexible !== true) continue;
    const width = widths[index] ?? 0;
    const given = Math.min(surplus, Math.max(0, width - MIN_FLEXIBLE_WIDTH));
    widths[index] = width - given;
    surplus -= given;
  }
  return widths;
}

function truncate(cell: string, width: number): string {
  return cell.length <= width ? cell : `${cell.slice(0, width - 1)}…`;
}

const BORDERLESS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((name) => [name, '']),
);
