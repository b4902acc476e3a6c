import type { IncomingMessage, ServerResponse } from 'node:http';
import { invalidRequest, type MembraneError } from '@membrane/protocol';
import { problemAnswer, sendAnswer, type Answer } from './answer.js';
import { readJsonBody, RequestAborted, type BodyLimits } from './json-body.js';

export interface CallRunnerOptions {
  /** Log id and revision of the state. */
  revision(): string;
  /** Why it cannot take calls now, or undefined. */
  refusal(): MembraneError | undefined;
  /** An error that is not the caller's. */
  onError(error: unknown, request: IncomingMessage): void;
}

const LEASE_CREDENTIALS = /^lease +(.*)$/i;

/** What all calls have in common: the body, the refusals, the answer. */
export class CallRunner {
  readonly #options: CallRunnerOptions;

  constructor(options: CallRunnerOptions) {
    this.#options = options;
  }

  /** Log id and revision of the state. */
  revision(): string {
    return this.#options.revision();
  }

  /** Reads the body first. */
  answerBody(
    request: IncomingMessage,
    response: ServerResponse,
    limits: BodyLimits,
    call: (body: object) => Answer | Promise<Answer>,
  ): void {
    const { authorization } = request.headers;
    readJsonBody(
      request,
      limits,
      (body) => {
        this.answer(request, response, () => {
          if (authorization !== undefined) showLeaseToken(body, authorization);
          return call(body);
        });
      },
      (error) => {
        this.fail(request, response, this.#options.refusal() ?? error);
      },
    );
  }

  /** Runs a call and sends what it comes to; undefined means that it has answered by itself. */
  answer(
    request: IncomingMessage,
    response: ServerResponse,
    call: () => Answer | undefined | Promise<Answer | undefined>,
  ): void {
    try {
      const refusal = this.#options.refusal();
      if (refusal !== undefined) throw refusal;
      const answer = call();
      if (answer instanceof Promise) {
        answer.then(
          (settled) => {
            if (settled !== undefined) sendAnswer(response, settled);
          },
          (error: unknown) => {
            this.fail(request, response, error);
          },
        );
      } else if (answer !== undefined) {
        sendAnswer(response, answer);
      }
    } catch (error) {
      this.fail(request, response, error);
    }
  }

  /** Answers with a failure. */
  fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (error instanceof RequestAborted) {
      response.destroy();
      return;
    }
    const answer = problemAnswer(error, this.#options.refusal() === undefined ? this.revision() : undefined);
    if (answer.status >= 500) this.#options.onError(error, request);
    // Half an answer must not be taken for a whole one, nor its rest be waited for.
    if (response.headersSent && !response.writableEnded) response.destroy();
    else sendAnswer(response, answer);
  }
}

/** Puts the lease token of an `Authorization: Lease …` header into the body, where it is looked for. */
function showLeaseToken(body: { lease_token?: unknown }, authorization: string): void {
  const token = readLeaseToken(authorization);
  if (token === undefined) return;
  if (body.lease_token != null && body.lease_token !== token) {
    const message = 'must be the token of the Authorization header, where both are given';
    throw invalidRequest([{ path: 'lease_token', message }], 'body');
  }
  body.lease_token = token;
}

/** The lease token of an `Authorization: Lease …` header, or undefined. */
export function readLeaseToken(authorization: string | undefined): string | undefined {
  return LEASE_CREDENTIALS.exec(authorization ?? '')?.[1]?.trim();
}

/** A segment of a path, as it was meant. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalidRequest([{ path: 'id', message: 'must be percent-encoded UTF-8' }], 'path');
  }
}
