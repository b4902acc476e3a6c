import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Calls } from './calls.js';
import type { MailboxCalls } from './mailbox-calls.js';

const DISCOVER = '/discover/';
const MESSAGES = '/messages/';
const ACK = '/ack';

/**
 * Answers the calls that must be fast before Express sees them, in their plain form; Express costs two thirds of
 * what the process can do. False: not one of those, nothing was done.
 */
export function takeFastPath(
  { calls, mailboxCalls }: { calls: Calls; mailboxCalls: MailboxCalls },
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { method, url = '' } = request;
  if (method === 'POST') {
    if (url === '/heartbeat') calls.heartbeat(request, response);
    else if (url === '/register') calls.register(request, response);
    else return takeMailboxPath(mailboxCalls, request, response);
    return true;
  }
  if (method !== 'GET') return false;
  if (!url.startsWith(DISCOVER)) return takeMailboxPath(mailboxCalls, request, response);
  if (url.includes('#')) return false;
  const queryStart = url.indexOf('?');
  const segment = url.slice(DISCOVER.length, queryStart === -1 ? undefined : queryStart);
  if (segment === '' || segment.includes('/')) return false;
  calls.discover(request, response, segment);
  return true;
}

function takeMailboxPath(calls: MailboxCalls, request: IncomingMessage, response: ServerResponse): boolean {
  const { method, url = '' } = request;
  if (!url.startsWith(MESSAGES) || url.includes('#')) return false;
  const queryStart = url.indexOf('?');
  const rest = url.slice(MESSAGES.length, queryStart === -1 ? undefined : queryStart);
  const isAck = method === 'POST' && rest.endsWith(ACK);
  const segment = isAck ? rest.slice(0, -ACK.length) : rest;
  if (segment === '' || segment.includes('/')) return false;
  if (isAck) calls.ack(request, response, segment);
  else if (method === 'POST') calls.post(request, response, segment);
  else calls.collect(request, response, segment);
  return true;
}
