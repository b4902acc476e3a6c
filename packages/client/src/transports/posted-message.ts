import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MembraneError, type MessageAnswer } from '@membrane/protocol';
import type { HandlingResult, MessageTaker } from '../messaging/message-taker.js';
import { newMessageId } from '../messaging/message-id.js';
import { readEnvelope } from '../messaging/read-envelope.js';
import { toMembraneError } from '../to-membrane-error.js';
import { toReplyJson } from './reply-json.js';
import { answerJson, answerProblem } from './http-answers.js';

/** Takes the message of a `POST {endpoint}/message`, and answers when its handler is done. Never rejects. */
export async function takePostedMessage(
  request: IncomingMessage,
  response: ServerResponse,
  taker: MessageTaker,
  maxMessageBytes: number,
): Promise<void> {
  try {
    const bytes = await readBody(request, maxMessageBytes);
    const envelope = readEnvelope(parseJson(bytes));
    const id = envelope.id ?? newMessageId();
    const result = await take(taker, { ...envelope, id }, bytes.length);
    if (result.outcome === 'failed') throw result.error;
    if (result.outcome === 'processed' && result.reply !== undefined)
      toReplyJson(result.reply, maxMessageBytes);
    answerJson(response, 200, { success: true, message_id: id, ...result } satisfies MessageAnswer);
  } catch (error) {
    answerProblem(request, response, toMembraneError(error));
  }
}

async function take(
  taker: MessageTaker,
  envelope: Parameters<MessageTaker['take']>[0],
  sizeBytes: number,
): Promise<HandlingResult> {
  return new Promise((resolve) => {
    const refusal = taker.take(envelope, { sizeBytes, isKept: false }, resolve);
    if (refusal !== undefined) resolve({ outcome: 'failed', error: refusal });
  });
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
  if (!/^application\/json\s*(;|$)/i.test(type) || encoding !== 'identity') {
    throw new MembraneError(
      'unsupported_media_type',
      'a message must be sent as application/json, uncompressed',
    );
  }
  const tooLarge = new MembraneError('payload_too_large', `a message must be at most ${maxBytes} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge;
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) {
        request.pause();
        reject(tooLarge);
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(new MembraneError('invalid_request', 'the request broke off')));
  });
}

function parseJson(bytes: Buffer): unknown {
  if (isUtf8(bytes)) {
    try {
      return JSON.parse(bytes.toString());
    } catch {
      // What is wrong with it is said below.
    }
  }
  throw new MembraneError('invalid_request', 'the body must be JSON in UTF-8');
}
