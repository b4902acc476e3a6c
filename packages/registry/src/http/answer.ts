import type { ServerResponse } from 'node:http';
import {
  isMembraneError,
  MembraneError,
  NEXT_CURSOR_HEADER,
  PROBLEM_MEDIA_TYPE,
  REVISION_HEADER,
  toProblem,
} from '@membrane/protocol';

/** A whole answer, whichever way the request came in. */
export interface Answer {
  readonly status: number;
  /** JSON text. */
  readonly body: string;
  readonly contentType: string;
  /** Log id and revision of the state it tells of; undefined where it depends on none. */
  readonly revision?: string | undefined;
  readonly nextCursor?: string | undefined;
  readonly allow?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

const JSON_MEDIA_TYPE = 'application/json; charset=utf-8';

export function jsonAnswer(body: string, revision?: string): Answer {
  return { status: 200, body, contentType: JSON_MEDIA_TYPE, revision };
}

/** Head of an answer that is written in pieces. */
export function streamHeaders(revision: string): string[] {
  return ['Content-Type', JSON_MEDIA_TYPE, REVISION_HEADER, revision];
}

/** What a failure looks like outside: nothing of an unexpected one but that it happened. */
export function problemAnswer(error: unknown, revision?: string): Answer {
  const known = isMembraneError(error)
    ? error
    : new MembraneError('internal_error', 'the registry failed; its log says why');
  const { retryAfterMs } = known.details;
  return {
    status: known.status,
    body: JSON.stringify(toProblem(known)),
    contentType: PROBLEM_MEDIA_TYPE,
    revision,
    retryAfterSeconds: retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs / 1_000),
  };
}

export function sendAnswer(response: ServerResponse, answer: Answer): void {
  if (response.destroyed || response.headersSent) return;
  const headers = [
    'Content-Type',
    answer.contentType,
    'Content-Length',
    String(Buffer.byteLength(answer.body)),
  ];
  if (answer.revision !== undefined) headers.push(REVISION_HEADER, answer.revision);
  if (answer.nextCursor !== undefined) headers.push(NEXT_CURSOR_HEADER, answer.nextCursor);
  if (answer.allow !== undefined) headers.push('Allow', answer.allow);
  if (answer.retryAfterSeconds !== undefined) headers.push('Retry-After', String(answer.retryAfterSeconds));
  response.writeHead(answer.status, headers);
  response.end(answer.body);
}
