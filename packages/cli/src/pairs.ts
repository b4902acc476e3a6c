import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { shorten } from './output.js';

const METADATA = { what: '--meta', form: 'KEY=VALUE' };

/** What several `KEY=VALUE` say: of metadata, unless `what` they are is given, and in which `form`. */
export function parsePairs(texts: readonly string[], { what, form } = METADATA): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const separator = text.indexOf('=');
    if (separator < 1) throw new CommandError(`${what} must be ${form}; got "${text}"`, EXIT_CODES.usage);
    const key = text.slice(0, separator);
    if (pairs.has(key))
      throw new CommandError(`${what} ${shorten(key)} must be given once`, EXIT_CODES.usage);
    pairs.set(key, text.slice(separator + 1));
  }
  return Object.fromEntries(pairs);
}
