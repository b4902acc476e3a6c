import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  deregistrationRequestSchema,
  discoverParamsSchema,
  discoverQuerySchema,
  eventsQuerySchema,
  heartbeatBatchSchema,
  heartbeatSchema,
  invalidRequest,
  LIMITS,
  listQuerySchema,
  METADATA_FILTER_PREFIX,
  registrationRequestSchema,
  validate,
  type ListQuery,
  type MembraneError,
  type RegistryStatus,
} from '@membrane/protocol';
import type { ListFilterEntries, RegistryService } from '../service/registry-service.js';
import { jsonAnswer, problemAnswer, sendAnswer, streamHeaders, type Answer } from './answer.js';
import { readJsonBody, RequestAborted } from './json-body.js';
import { parseQuery } from './query-string.js';

export interface CallsOptions {
  readonly service: RegistryService;
  /** Log id and revision of the state. */
  revision(): string;
  status(): RegistryStatus;
  /** Why it cannot take calls now, or undefined. */
  refusal(): MembraneError | undefined;
  /** An error that is not the caller's. */
  onError(error: unknown, request: IncomingMessage): void;
}

const HEARTBEAT_ANSWER = '{"success":true}';
const LEASE_CREDENTIALS = /^lease +(.*)$/i;

/**
 * Every call that reads or changes the state, from request to answer. The fast path and the Express routers are two
 * ways to get here; that both give the same answer follows from it.
 */
export class Calls {
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  register(request: IncomingMessage, response: ServerResponse): void {
    this.#answerBody(request, response, LIMITS.maxBodyBytes, async (body) => {
      const answer = await this.#options.service.register(validate(registrationRequestSchema, body, 'body'));
      return jsonAnswer(JSON.stringify(answer), this.#options.revision());
    });
  }

  deregister(request: IncomingMessage, response: ServerResponse): void {
    this.#answerBody(request, response, LIMITS.maxBodyBytes, async (body) => {
      const answer = await this.#options.service.deregister(
        validate(deregistrationRequestSchema, body, 'body'),
      );
      return jsonAnswer(JSON.stringify(answer), this.#options.revision());
    });
  }

  heartbeat(request: IncomingMessage, response: ServerResponse): void {
    this.#answerBody(request, response, LIMITS.maxHeartbeatBodyBytes, (body) => {
      const { service } = this.#options;
      if ('heartbeats' in body) {
        const answer = service.heartbeatBatch(validate(heartbeatBatchSchema, body, 'body'));
        return jsonAnswer(JSON.stringify(answer), this.#options.revision());
      }
      service.heartbeat(validate(heartbeatSchema, body, 'body'));
      return jsonAnswer(HEARTBEAT_ANSWER, this.#options.revision());
    });
  }

  /** `encodedId`: the path segment as it came. */
  discover(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#answer(request, response, () => {
      const { id } = validate(discoverParamsSchema, { id: decodeSegment(encodedId) }, 'path');
      const query = validate(discoverQuerySchema, parseQuery(request.url ?? ''), 'query');
      const records = this.#options.service.discover(id, query);
      // The primary stands twice in the answer: written once.
      const [primary, ...others] = records.map((record) => JSON.stringify(record));
      const instances = [primary, ...others].join(',');
      return jsonAnswer(
        `${primary?.slice(0, -1) ?? ''},"instances":[${instances}]}`,
        this.#options.revision(),
      );
    });
  }

  list(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(request, response, async () => {
      const given = parseQuery(request.url ?? '');
      const query = validate(listQuerySchema, given, 'query');
      const metadata = Object.entries(given).filter(([key]) => key.startsWith(METADATA_FILTER_PREFIX));
      if (query.limit === undefined && query.cursor === undefined) {
        await this.#streamList(response, query, metadata);
        return undefined;
      }
      const page = this.#options.service.listPage(query, metadata);
      return {
        ...jsonAnswer(JSON.stringify(page.records), this.#options.revision()),
        nextCursor: page.nextCursor,
      };
    });
  }

  status(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(request, response, () =>
      jsonAnswer(JSON.stringify(this.#options.status()), this.#options.revision()),
    );
  }

  events(request: IncomingMessage, response: ServerResponse): void {
    this.#answer(request, response, () => {
      const query = validate(eventsQuerySchema, parseQuery(request.url ?? ''), 'query');
      return jsonAnswer(JSON.stringify(this.#options.service.events(query)), this.#options.revision());
    });
  }

  /** Reads the body first. */
  #answerBody(
    request: IncomingMessage,
    response: ServerResponse,
    maxBytes: number,
    call: (body: object) => Answer | Promise<Answer>,
  ): void {
    const { authorization } = request.headers;
    readJsonBody(
      request,
      maxBytes,
      (body) => {
        this.#answer(request, response, () => {
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
  #answer(
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
    const answer = problemAnswer(
      error,
      this.#options.refusal() === undefined ? this.#options.revision() : undefined,
    );
    if (answer.status >= 500) this.#options.onError(error, request);
    sendAnswer(response, answer);
  }

  async #streamList(response: ServerResponse, query: ListQuery, metadata: ListFilterEntries): Promise<void> {
    response.writeHead(200, streamHeaders(this.#options.revision()));
    let separator = '[';
    for (const records of this.#options.service.listAll(query, metadata)) {
      const text = records.map((record) => JSON.stringify(record)).join(',');
      if (text !== '') {
        const ready = response.write(separator + text);
        separator = ',';
        if (!ready) await drained(response);
      }
      await new Promise(setImmediate);
      if (response.destroyed) return;
    }
    response.end(separator === '[' ? '[]' : ']');
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

/** Puts the lease token of an `Authorization: Lease …` header into the body, where it is looked for. */
function showLeaseToken(body: { lease_token?: unknown }, authorization: string): void {
  const token = LEASE_CREDENTIALS.exec(authorization)?.[1]?.trim();
  if (token === undefined) return;
  if (body.lease_token != null && body.lease_token !== token) {
    const message = 'must be the token of the Authorization header, where both are given';
    throw invalidRequest([{ path: 'lease_token', message }], 'body');
  }
  body.lease_token = token;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalidRequest([{ path: 'id', message: 'must be percent-encoded UTF-8' }], 'path');
  }
}
