import { isMembraneError, MembraneError } from '@membrane/protocol';

/** What was thrown, as an error with a code. */
export function toMembraneError(error: unknown): MembraneError {
  if (isMembraneError(error)) return error;
  return new MembraneError('internal_error', String(error), { cause: error });
}
