import { invalidRequest } from '@membrane/protocol';

/** What a URL without a query comes to. */
export const NO_QUERY: Record<string, string> = Object.freeze(Object.create(null) as Record<string, string>);

/**
 * The query of a URL as an object without prototype.
 * @throws MembraneError `invalid_request` for a key given twice: which one counts would be a guess.
 */
export function parseQuery(url: string): Record<string, string> {
  const start = url.indexOf('?');
  if (start === -1) return NO_QUERY;
  const query = Object.create(null) as Record<string, string>;
  for (const [key, value] of new URLSearchParams(url.slice(start + 1))) {
    if (key in query) throw invalidRequest([{ path: key, message: 'must be given once' }], 'query');
    query[key] = value;
  }
  return query;
}
