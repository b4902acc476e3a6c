import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { invalidRequest, isDeeperThan, LIMITS, MembraneError } from '@membrane/protocol';

/** The sender went away before its body was complete: there is nobody to answer. */
export class RequestAborted extends Error {
  override readonly name = 'RequestAborted';
}

const JSON_CONTENT_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

export interface BodyLimits {
  readonly maxBytes: number;
  /** Levels of nesting. */
  readonly maxDepth?: number;
}

/**
 * Reads the JSON body of a request and hands it, or what is wrong with it, to one of two callbacks: on the paths that
 * must be fast a promise a request is measured. Hand-written, since body parsers want Express in front of them, which
 * the fast path is there to avoid: both paths read with this one. Errors: MembraneError `unsupported_media_type`,
 * `payload_too_large` or `invalid_request`; RequestAborted.
 */
export function readJsonBody(
  request: IncomingMessage,
  { maxBytes, maxDepth = LIMITS.maxJsonDepth }: BodyLimits,
  onBody: (body: object) => void,
  onError: (error: unknown) => void,
): void {
  const fault = findHeaderFault(request, maxBytes);
  if (fault !== undefined) {
    request.resume();
    onError(fault);
    return;
  }
  let first: Buffer | undefined;
  let rest: Buffer[] | undefined;
  let length = 0;
  let settled = false;
  request.on('data', (chunk: Buffer) => {
    if (settled) return;
    length += chunk.length;
    if (length > maxBytes) {
      // What still comes is read and dropped, so that the answer is not lost to a reset connection; the request
      // timeout bounds it.
      settled = true;
      onError(tooLarge(maxBytes));
    } else if (first === undefined) first = chunk;
    else (rest ??= []).push(chunk);
  });
  request.on('end', () => {
    if (settled) return;
    settled = true;
    let body: object;
    try {
      body = parseJson(
        rest === undefined ? first : Buffer.concat([...(first === undefined ? [] : [first]), ...rest]),
        maxDepth,
      );
    } catch (error) {
      onError(error);
      return;
    }
    onBody(body);
  });
  request.on('close', () => {
    if (settled) return;
    settled = true;
    onError(new RequestAborted());
  });
}

function findHeaderFault({ headers }: IncomingMessage, maxBytes: number): MembraneError | undefined {
  const contentType = headers['content-type'];
  if (contentType !== 'application/json' && !JSON_CONTENT_TYPE.test(contentType ?? '')) {
    return new MembraneError(
      'unsupported_media_type',
      `the Content-Type must be application/json in UTF-8; got ${contentType === undefined ? 'none' : `"${contentType}"`}`,
    );
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return new MembraneError(
      'unsupported_media_type',
      `the Content-Encoding must be identity; got "${encoding}"`,
    );
  }
  return Number(headers['content-length'] ?? 0) > maxBytes ? tooLarge(maxBytes) : undefined;
}

function tooLarge(maxBytes: number): MembraneError {
  return new MembraneError('payload_too_large', `the body must be at most ${maxBytes} bytes`);
}

const wrongBody = (message: string): MembraneError => invalidRequest([{ path: '', message }], 'body');

function parseJson(body: Buffer | undefined, maxDepth: number): object {
  if (body === undefined || body.length === 0) throw wrongBody('must be a JSON object; got nothing');
  if (!isUtf8(body)) throw wrongBody('must be UTF-8');
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it is broken';
    // After a comma the engine quotes what is around the fault, which may be part of a lease token.
    throw wrongBody(`must be JSON; ${reason.replace(/, (?:\.{3})?".*$/s, '')}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongBody('must be a JSON object');
  if (couldBeDeep(text) && isDeeperThan(value, maxDepth)) {
    throw wrongBody(`must nest at most ${maxDepth} levels`);
  }
  return value;
}

/** False where there are too few brackets to nest deeply, which is so for all but odd bodies. */
function couldBeDeep(text: string): boolean {
  let brackets = 0;
  for (let index = text.indexOf('{'); index !== -1; index = text.indexOf('{', index + 1)) {
    brackets += 1;
    if (brackets > LIMITS.maxJsonDepth) return true;
  }
  for (let index = text.indexOf('['); index !== -1; index = text.indexOf('[', index + 1)) {
    brackets += 1;
    if (brackets > LIMITS.maxJsonDepth) return true;
  }
  return false;
}
