import CliTable from 'cli-table3';
import type { Output } from './output.js';

export interface Column {
  readonly title: string;
  /** What comes later may be wider than what comes first. */
  readonly minWidth?: number;
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
  return new Table(columns, output).format(rows);
}

/** A table whose rows come in several lots: the titles come with the first, the columns widen as they must. */
export class Table {
  readonly #columns: readonly Column[];
  readonly #output: Pick<Output, 'isTerminal' | 'isColored' | 'width'>;
  /** Of the widest cell so far, by column. */
  readonly #cellWidths: number[];
  #hasTitles = false;

  constructor(columns: readonly Column[], output: Pick<Output, 'isTerminal' | 'isColored' | 'width'>) {
    this.#columns = columns;
    this.#output = output;
    this.#cellWidths = columns.map(({ title, minWidth = 0 }) => Math.max(title.length, minWidth));
  }

  format(rows: readonly string[][]): string {
    if (!this.#output.isTerminal) return rows.map((row) => row.join('\t')).join('\n');
    const widths = this.#fitWidths(rows);
    const table = new CliTable({
      head: this.#hasTitles ? [] : this.#columns.map(({ title }) => title),
      colWidths: widths.map((width, index) => width + (index === widths.length - 1 ? 0 : GAP)),
      chars: BORDERLESS,
      style: {
        'padding-left': 0,
        'padding-right': 0,
        head: this.#output.isColored ? ['bold'] : [],
        border: [],
        compact: true,
      },
    });
    this.#hasTitles = true;
    for (const row of rows) {
      table.push(
        row.map((cell, index) => {
          const fitted = truncate(cell, widths[index] ?? cell.length);
          return this.#columns[index]?.color?.(fitted) ?? fitted;
        }),
      );
    }
    return table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  }

  #fitWidths(rows: readonly string[][]): number[] {
    const cellWidths = this.#cellWidths;
    for (const row of rows) {
      for (const [index, { length }] of row.entries()) {
        cellWidths[index] = Math.max(cellWidths[index] ?? 0, length);
      }
    }
    const widths = [...cellWidths];
    const wanted = widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1);
    let surplus = wanted - this.#output.width;
    for (let index = widths.length - 1; index >= 0 && surplus > 0; index -= 1) {
      if (this.#columns[index]?.flexible !== true) continue;
      const width = widths[index] ?? 0;
      const given = Math.min(surplus, Math.max(0, width - MIN_FLEXIBLE_WIDTH));
      widths[index] = width - given;
      surplus -= given;
    }
    return widths;
  }
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
