import type { Membrane } from '@membrane/client';
import { colorStatus, formatAge, toPrintable, type Output } from './output.js';
import { Table } from './table.js';

/** Prints membranes, a row each, in several lots where they come so. */
export class MembraneTable {
  readonly #table: Table;

  constructor(output: Output) {
    const columns = [
      { title: 'ID', flexible: true },
      { title: 'STATUS', color: (status: string) => colorStatus(status, output) },
      { title: 'PARENT', flexible: true },
      { title: 'MODE' },
      { title: 'HEARD' },
      { title: 'ENDPOINT', flexible: true },
    ];
    this.#table = new Table(columns, output);
  }

  /** `status`: in place of their own. */
  format(membranes: readonly Membrane[], status?: string): string {
    const nowS = Date.now() / 1_000;
    return this.#table.format(
      membranes.map((membrane) => [
        membrane.instanceId === 'default' ? membrane.id : `${membrane.id} (${membrane.instanceId})`,
        status ?? membrane.status,
        `${membrane.parent ?? '-'}${membrane.detached ? ' (absent)' : ''}`,
        membrane.communicationMode,
        formatAge(nowS - membrane.lastHeartbeat),
        toPrintable(membrane.endpoint),
      ]),
    );
  }
}
