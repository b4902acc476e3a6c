import { membraneIdSchema } from '@membrane/protocol';
import { z } from 'zod';
import { OperatorError } from '../operator-error.js';
import type { StoredEntry } from '../store/membrane-store.js';

/** Reads rows that nothing but a fault of the disk, or another hand, can have spoilt: it says which one it was. */
export class RowReader {
  readonly #location: string;

  /** `location` is what errors call the store. */
  constructor(location: string) {
    this.#location = location;
  }

  /** The names in a key, behind its prefix. */
  names(key: string, prefix: string, count: 2): [string, string];
  names(key: string, prefix: string, count: 3): [string, string, string];
  names(key: string, prefix: string, count: number): string[] {
    const names = key.slice(prefix.length).split('/');
    if (names.length !== count || !names.every((name) => membraneIdSchema.safeParse(name).success)) {
      throw this.damaged(key, `must have ${count} names in its key`);
    }
    return names;
  }

  check<Schema extends z.ZodType>(schema: Schema, { key, value }: StoredEntry): z.output<Schema> {
    const result = schema.safeParse(value);
    if (!result.success) throw this.damaged(key, z.prettifyError(result.error));
    return result.data;
  }

  /** The error for a row that cannot be used. */
  damaged(key: string, fault: string): OperatorError {
    return new OperatorError(
      `${this.#location} is damaged: the row "${key}" ${fault}. Nothing was changed. Restore it from a backup, or move it away to start empty`,
    );
  }
}
