import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Calls } from './calls.js';

const DISCOVER = '/discover/';

/**
 * Answers the calls that must be fast before Express sees them, in their plain form; Express costs two thirds of
 * what the process can do. False: not one of those, nothing was done.
 */
export function takeFastPath(calls: Calls, request: IncomingMessage, response: ServerResponse): boolean {
  const { method, url = '' } = request;
  if (method === 'POST') {
    if (url === '/heartbeat') calls.heartbeat(request, response);
    else if (url === '/register') calls.register(request, response);
    else return false;
    return true;
  }
  if (method !== 'GET' || !url.startsWith(DISCOVER) || url.includes('#')) return false;
  const queryStart = url.indexOf('?');
  const segment = url.slice(DISCOVER.length, queryStart === -1 ? undefined : queryStart);
  if (segment === '' || segment.includes('/')) return false;
  calls.discover(request, response, segment);
  return true;
}
