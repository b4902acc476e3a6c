import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { PROBLEM_MEDIA_TYPE, toProblem, type MembraneError } from '@membrane/protocol';

/** For a refusal that time can mend and that names no time. */
const DEFAULT_RETRY_AFTER_MS = 1_000;
const RETRY_LATER = [429, 503];

export function answerJson(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** As a problem document. A request whose body nobody will read takes its connection along. */
export function answerProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: MembraneError,
): void {
  if (response.destroyed || response.headersSent) return;
  const { headers, text } = toHttp(error);
  if (!request.complete) headers['Connection'] = 'close';
  response.writeHead(error.status, headers);
  response.end(text);
}

/** For a socket that is not, or no longer, one of HTTP's. */
export function answerProblemOnSocket(socket: Duplex, error: MembraneError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { headers, text } = toHttp(error);
  const lines = Object.entries({ ...headers, Connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n${text}`,
  );
}

function toHttp(error: MembraneError): { headers: Record<string, string | number>; text: string } {
  const text = JSON.stringify(toProblem(error));
  const headers: Record<string, string | number> = {
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': Buffer.byteLength(text),
  };
  if (RETRY_LATER.includes(error.status)) {
    headers['Retry-After'] = Math.ceil((error.details.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS) / 1_000);
  }
  return { headers, text };
}
