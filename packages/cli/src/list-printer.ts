import type { Membrane } from '@membrane/client';
import { MembraneTable } from './membrane-table.js';
import type { Output } from './output.js';

/** What became of a membrane between two readings. `gone`: it left, or does not fit any more. */
type Difference = 'added' | 'changed' | 'gone';

/** Prints a list that is read again and again: whole at first, and then what is different from the last time. */
export class ListPrinter {
  readonly #output: Output;
  readonly #json: boolean;
  readonly #table: MembraneTable;
  /** By id and instance; undefined until it was read once. */
  #known: ReadonlyMap<string, Membrane> | undefined;

  constructor(output: Output, { json }: { json: boolean }) {
    this.#output = output;
    this.#json = json;
    this.#table = new MembraneTable(output);
  }

  /** Rejects where nobody reads it any more. */
  async print(membranes: readonly Membrane[]): Promise<void> {
    const isFirst = this.#known === undefined;
    const before = this.#known ?? new Map<string, Membrane>();
    const after = new Map(membranes.map((membrane) => [nameOf(membrane), membrane]));
    this.#known = after;
    if (isFirst && after.size === 0) this.#output.say('no membranes');
    await this.#write(
      'gone',
      [...before.values()].filter((membrane) => !after.has(nameOf(membrane))),
    );
    const isNew = (membrane: Membrane): boolean => !before.has(nameOf(membrane));
    await this.#write('added', membranes.filter(isNew));
    await this.#write(
      'changed',
      membranes.filter((membrane) => isChanged(before.get(nameOf(membrane)), membrane)),
    );
  }

  async #write(difference: Difference, membranes: readonly Membrane[]): Promise<void> {
    if (membranes.length === 0) return;
    if (this.#json) {
      const { toWire } = await import('@membrane/protocol');
      const lines = membranes.map((record) =>
        JSON.stringify({ change: difference, record: toWire<unknown>(record) }),
      );
      await this.#output.write(lines.join('\n'));
    } else {
      await this.#output.write(this.#table.format(membranes, difference === 'gone' ? 'gone' : undefined));
    }
  }
}

function nameOf({ id, instanceId }: Membrane): string {
  return `${id}/${instanceId}`;
}

/** Its place can change without a change of its own: where its parent comes, goes, or is dissolved. */
function isChanged(before: Membrane | undefined, after: Membrane): boolean {
  if (before === undefined) return false;
  return (
    before.revision !== after.revision || before.parent !== after.parent || before.detached !== after.detached
  );
}
