import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  deregistrationRequestSchema,
  discoverParamsSchema,
  discoverQuerySchema,
  eventsQuerySchema,
  heartbeatBatchSchema,
  heartbeatSchema,
  LIMITS,
  listQuerySchema,
  METADATA_FILTER_PREFIX,
  registrationRequestSchema,
  validate,
  type ListQuery,
  type RegistryStatus,
} from '@membrane/protocol';
import type { ListFilterEntries, RegistryService } from '../service/registry-service.js';
import { jsonAnswer } from './answer.js';
import { decodeSegment, type CallRunner } from './call-runner.js';
import { parseQuery } from './query-string.js';
import { streamText } from './text-stream.js';

export interface CallsOptions {
  readonly runner: CallRunner;
  readonly service: RegistryService;
  readonly status: () => RegistryStatus;
}

const HEARTBEAT_ANSWER = '{"success":true}';

/**
 * Every call that reads or changes the tree, from request to answer. The fast path and the Express routers are two
 * ways to get here; that both give the same answer follows from it.
 */
export class Calls {
  readonly #runner: CallRunner;
  readonly #service: RegistryService;
  readonly #status: () => RegistryStatus;

  constructor({ runner, service, status }: CallsOptions) {
    this.#runner = runner;
    this.#service = service;
    this.#status = status;
  }

  register(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answerBody(request, response, { maxBytes: LIMITS.maxBodyBytes }, async (body) => {
      const answer = await this.#service.register(validate(registrationRequestSchema, body, 'body'));
      return jsonAnswer(JSON.stringify(answer), this.#runner.revision());
    });
  }

  deregister(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answerBody(request, response, { maxBytes: LIMITS.maxBodyBytes }, async (body) => {
      const answer = await this.#service.deregister(validate(deregistrationRequestSchema, body, 'body'));
      return jsonAnswer(JSON.stringify(answer), this.#runner.revision());
    });
  }

  heartbeat(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answerBody(request, response, { maxBytes: LIMITS.maxHeartbeatBodyBytes }, (body) => {
      const service = this.#service;
      if ('heartbeats' in body) {
        const answer = service.heartbeatBatch(validate(heartbeatBatchSchema, body, 'body'));
        return jsonAnswer(JSON.stringify(answer), this.#runner.revision());
      }
      service.heartbeat(validate(heartbeatSchema, body, 'body'));
      return jsonAnswer(HEARTBEAT_ANSWER, this.#runner.revision());
    });
  }

  /** `encodedId`: the path segment as it came. */
  discover(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#runner.answer(request, response, () => {
      const { id } = validate(discoverParamsSchema, { id: decodeSegment(encodedId) }, 'path');
      const query = validate(discoverQuerySchema, parseQuery(request.url ?? ''), 'query');
      const records = this.#service.discover(id, query);
      // The primary stands twice in the answer: written once.
      const [primary, ...others] = records.map((record) => JSON.stringify(record));
      const instances = [primary, ...others].join(',');
      return jsonAnswer(
        `${primary?.slice(0, -1) ?? ''},"instances":[${instances}]}`,
        this.#runner.revision(),
      );
    });
  }

  list(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answer(request, response, async () => {
      const given = parseQuery(request.url ?? '');
      const query = validate(listQuerySchema, given, 'query');
      const metadata = Object.entries(given).filter(([key]) => key.startsWith(METADATA_FILTER_PREFIX));
      if (query.limit === undefined && query.cursor === undefined) {
        await streamText(response, this.#runner.revision(), this.#writeList(query, metadata));
        return undefined;
      }
      const page = this.#service.listPage(query, metadata);
      return {
        ...jsonAnswer(JSON.stringify(page.records), this.#runner.revision()),
        nextCursor: page.nextCursor,
      };
    });
  }

  status(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answer(request, response, () =>
      jsonAnswer(JSON.stringify(this.#status()), this.#runner.revision()),
    );
  }

  events(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answer(request, response, () => {
      const query = validate(eventsQuerySchema, parseQuery(request.url ?? ''), 'query');
      return jsonAnswer(JSON.stringify(this.#service.events(query)), this.#runner.revision());
    });
  }

  *#writeList(query: ListQuery, metadata: ListFilterEntries): Iterable<string> {
    let separator = '[';
    for (const records of this.#service.listAll(query, metadata)) {
      const text = records.map((record) => JSON.stringify(record)).join(',');
      yield text === '' ? '' : separator + text;
      if (text !== '') separator = ',';
    }
    yield separator === '[' ? '[]' : ']';
  }
}
