import { MembraneError } from '@membrane/protocol';

const givenBack = new WeakSet<Error>();

/**
 * For a handler to throw that does not want its message after all, since its program is leaving: that counts neither
 * as handled nor as a failure. The message, with those behind it in its stream, stays where it was kept, or goes to
 * whom its sender finds next.
 * @param reason for people, such as "the receiver is leaving".
 */
export function giveBack(reason: string): MembraneError {
  const error = new MembraneError('no_handler', reason);
  givenBack.add(error);
  return error;
}

export function isGivenBack(error: unknown): error is MembraneError {
  return error instanceof Error && givenBack.has(error);
}
