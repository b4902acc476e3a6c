import type { MembraneError } from '@membrane/client';
import { CommandError } from './command-error.js';
import { exitCodeOf } from './exit-codes.js';

/**
 * The same error about what stands on the command line, where it is about fields of a call. `names`: what a field is
 * called here, by its path, or by the field of the call that it is in.
 */
export function nameFields(error: unknown, names: Readonly<Record<string, string>>): unknown {
  if (!isAboutFields(error)) return error;
  const lines = error.details.errors?.map(({ path, message }) => {
    const name = names[path] ?? names[path.replace(/[.[].*$/s, '')] ?? path;
    return `${name} ${message}`;
  });
  if (lines === undefined || lines.length === 0) return error;
  return new CommandError(lines.join('. '), exitCodeOf(error.code), { cause: error });
}

function isAboutFields(error: unknown): error is MembraneError {
  return error instanceof Error && error.name === 'MembraneError' && 'details' in error;
}
