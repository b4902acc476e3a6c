import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { invalidRequest, isDeeperThan, LIMITS, MembraneError } from '@membrane/protocol';

/** The sender went away before its body was complete: there is nobody to answer. */
export class RequestAborted extends Error {
  override readonly name = 'RequestAborted';
}

const JSON_CONTENT_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

/**
 * The JSON body of a request. Hand-written, since body parsers want Express in front of them, which the fast path
 * is there to avoid: both paths read with this one.
 * @throws MembraneError `unsupported_media_type`, `payload_too_large` or `invalid_request`.
 */
export async function readJsonBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const contentType = request.headers['content-type'];
  if (contentType !== 'application/json' && !JSON_CONTENT_TYPE.test(contentType ?? '')) {
    throw new MembraneError(
      'unsupported_media_type',
      `the Content-Type must be application/json in UTF-8; got ${contentType === undefined ? 'none' : `"${contentType}"`}`,
    );
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new MembraneError(
      'unsupported_media_type',
      `the Content-Encoding must be identity; got "${encoding}"`,
    );
  }
  return parseJson(await readBody(request, maxBytes));
}

function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const refuse = (): void => {
      // What still comes is read and dropped, so that the answer is not lost to a reset connection; the request
      // timeout bounds it.
      request.removeAllListeners('data').resume();
      reject(new MembraneError('payload_too_large', `the body must be at most ${maxBytes} bytes`));
    };
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
      refuse();
      return;
    }
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) refuse();
      else chunks.push(chunk);
    });
    request.once('end', () => {
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    request.once('close', () => {
      // After 'end' this changes nothing.
      reject(new RequestAborted());
    });
    request.once('error', () => {
      reject(new RequestAborted());
    });
  });
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0)
    throw invalidRequest([{ path: '', message: 'must be a JSON object; got nothing' }], 'body');
  if (!isUtf8(body)) throw invalidRequest([{ path: '', message: 'must be UTF-8' }], 'body');
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'broken';
    throw invalidRequest([{ path: '', message: `must be JSON; ${reason}` }], 'body');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidRequest([{ path: '', message: 'must be a JSON object' }], 'body');
  }
  if (isDeeperThan(value, LIMITS.maxJsonDepth)) {
    throw invalidRequest([{ path: '', message: `must nest at most ${LIMITS.maxJsonDepth} levels` }], 'body');
  }
  return value;
}
