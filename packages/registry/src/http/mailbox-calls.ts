import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  deadLettersQuerySchema,
  deadLettersRequestSchema,
  envelopeSchema,
  leaseTokenSchema,
  LIMITS,
  mailboxAckRequestSchema,
  mailboxCollectQuerySchema,
  mailboxParamsSchema,
  mailboxPostQuerySchema,
  MembraneError,
  ROUTES,
  validate,
} from '@membrane/protocol';
import { toEnvelopeText, type DeadLetter } from '../domain/mail.js';
import type { HandedMail } from '../domain/hand-outs.js';
import type { MailboxService } from '../service/mailbox-service.js';
import { jsonAnswer, problemAnswer, sendAnswer } from './answer.js';
import { decodeSegment, readLeaseToken, type CallRunner } from './call-runner.js';
import { parseQuery } from './query-string.js';

/** An envelope, and white space or fields that nobody keeps. The payload stands one level below the body. */
const ENVELOPE_LIMITS = {
  maxBytes: LIMITS.maxMessageBytes + 16 * 1024,
  maxDepth: LIMITS.maxJsonDepth + 1,
};
const COMMAND_LIMITS = { maxBytes: 4 * LIMITS.maxMessageBytes };

/** The calls of the mailbox, from request to answer. `encodedId`: the path segment as it came. */
export class MailboxCalls {
  readonly #runner: CallRunner;
  readonly #service: MailboxService;

  constructor({ runner, service }: { runner: CallRunner; service: MailboxService }) {
    this.#runner = runner;
    this.#service = service;
  }

  post(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#runner.answerBody(request, response, ENVELOPE_LIMITS, async (body) => {
      const id = toId(encodedId);
      const { namespace } = validate(mailboxPostQuerySchema, parseQuery(request.url ?? ''), 'query');
      const envelope = validate(envelopeSchema, body, 'body');
      const answer = await this.#service.post(id, envelope, namespace);
      return {
        ...jsonAnswer(JSON.stringify(answer), this.#runner.revision()),
        status: ROUTES.postMessage.answerStatus,
      };
    });
  }

  collect(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    // What is handed out is hidden from others, and this would show it to nobody.
    if (request.method === 'HEAD') {
      const error = new MembraneError('method_not_allowed', 'messages are collected by GET; got HEAD');
      sendAnswer(response, { ...problemAnswer(error), allow: 'GET, POST' });
      return;
    }
    const gone = new AbortController();
    response.once('close', () => {
      gone.abort();
    });
    this.#runner.answer(request, response, async () => {
      const id = toId(encodedId);
      const query = validate(mailboxCollectQuerySchema, parseQuery(request.url ?? ''), 'query');
      const token = readLeaseToken(request.headers.authorization);
      if (token !== undefined) validate(leaseTokenSchema, token, 'Authorization header');
      const items = await this.#service.collect(id, query, token, gone.signal);
      if (response.destroyed) {
        this.#service.release(items);
        return undefined;
      }
      return jsonAnswer(`[${items.map(toItemText).join(',')}]`, this.#runner.revision());
    });
  }

  ack(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#runner.answerBody(request, response, COMMAND_LIMITS, async (body) => {
      const answer = await this.#service.ack(
        toId(encodedId),
        validate(mailboxAckRequestSchema, body, 'body'),
      );
      return jsonAnswer(JSON.stringify(answer), this.#runner.revision());
    });
  }

  deadLetters(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#runner.answer(request, response, () => {
      const query = validate(deadLettersQuerySchema, parseQuery(request.url ?? ''), 'query');
      const letters = this.#service.deadLetters(toId(encodedId), query);
      return jsonAnswer(`[${letters.map(toLetterText).join(',')}]`, this.#runner.revision());
    });
  }

  changeDeadLetters(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#runner.answerBody(request, response, COMMAND_LIMITS, async (body) => {
      const answer = await this.#service.changeDeadLetters(
        toId(encodedId),
        validate(deadLettersRequestSchema, body, 'body'),
      );
      return jsonAnswer(JSON.stringify(answer), this.#runner.revision());
    });
  }
}

function toId(encodedId: string): string {
  return validate(mailboxParamsSchema, { id: decodeSegment(encodedId) }, 'path').id;
}

function toItemText({ receipt, mail, attempt, ttlMs }: HandedMail): string {
  return `{"receipt":${JSON.stringify(receipt)},"envelope":${toEnvelopeText(mail, attempt, ttlMs)}}`;
}

function toLetterText({ mail, code, reason, diedAtMs }: DeadLetter): string {
  const text = JSON.stringify({ message_id: mail.messageId, died_at: diedAtMs / 1_000, code, reason });
  return `${text.slice(0, -1)},"envelope":${toEnvelopeText(mail, mail.attempt, undefined)}}`;
}
