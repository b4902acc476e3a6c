import { styleText } from 'node:util';
import type { MembraneChange, WatchedEvent } from '@membrane/client';
import { describeChange } from './describe-change.js';
import { toPrintable, type Output } from './output.js';
import { Table, type Column } from './table.js';

const EVENT_COLORS: Readonly<Record<string, 'green' | 'red' | 'yellow' | 'cyan'>> = {
  registered: 'green',
  recovered: 'green',
  unhealthy: 'red',
  expired: 'red',
  draining: 'yellow',
  moved: 'cyan',
  dissolved: 'cyan',
  deregistered: 'cyan',
  preservation_started: 'yellow',
  preservation_ended: 'green',
};

/** Prints changes, a line each: when, what, whom, and more about it; or the JSON of the wire. */
export class ChangePrinter {
  readonly #output: Output;
  readonly #json: boolean;
  readonly #table: Table;

  constructor(output: Output, { json }: { json: boolean }) {
    this.#output = output;
    this.#json = json;
    // A log is read whole: a line that is too long goes on in the next one.
    this.#table = new Table(toColumns(output), { ...output, width: Number.POSITIVE_INFINITY });
  }

  /** Rejects where nobody reads it any more. */
  async print(changes: readonly MembraneChange[]): Promise<void> {
    if (changes.length === 0) return;
    if (this.#json) return this.printJson(changes);
    await this.#output.write(this.#table.format(changes.map((change) => this.#toRow(change))));
  }

  async printJson(events: readonly WatchedEvent[]): Promise<void> {
    const { toWire } = await import('@membrane/protocol');
    await this.#output.write(events.map((event) => JSON.stringify(toWire<unknown>(event))).join('\n'));
  }

  #toRow(change: MembraneChange): string[] {
    const { timestamp, event, id, instanceId } = change as Partial<MembraneChange>;
    const instance = instanceId === undefined || instanceId === 'default' ? '' : ` (${instanceId})`;
    return [
      formatTime((timestamp ?? 0) * 1_000, this.#output),
      toPrintable(String(event)),
      toPrintable(`${id === undefined || id === '' ? '-' : id}${instance}`),
      describeChange(change),
    ];
  }
}

function toColumns({ isColored }: Output): Column[] {
  const colorEvent = (cell: string): string => {
    const color = EVENT_COLORS[cell];
    return isColored && color !== undefined ? styleText(color, cell, { validateStream: false }) : cell;
  };
  return [
    { title: 'TIME' },
    { title: 'EVENT', minWidth: 'deregistered'.length, color: colorEvent },
    { title: 'ID', minWidth: 12 },
    { title: 'WHAT' },
  ];
}

/** For people the time of their clock; elsewhere with milliseconds, and the same wherever it is read. */
function formatTime(atMs: number, { isTerminal }: Output): string {
  const date = new Date(atMs);
  if (!isTerminal) return date.toISOString();
  const local = new Date(atMs - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}
