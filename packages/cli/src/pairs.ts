import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { shorten } from './output.js';

/** What several `--meta KEY=VALUE` say. */
export function parsePairs(texts: readonly string[]): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const [key, value] of texts.map(parsePair)) {
    if (pairs.has(key)) throw new CommandError(`--meta ${shorten(key)} must be given once`, EXIT_CODES.usage);
    pairs.set(key, value);
  }
  return Object.fromEntries(pairs);
}

function parsePair(text: string): [string, string] {
  const separator = text.indexOf('=');
  if (separator < 1) {
    throw new CommandError(`--meta must be KEY=VALUE; got "${text}"`, EXIT_CODES.usage);
  }
  return [text.slice(0, separator), text.slice(separator + 1)];
}
