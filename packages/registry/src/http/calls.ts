import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  deregistrationRequestSchema,
  discoverParamsSchema,
  discoverQuerySchema,
  eventsQuerySchema,
  heartbeatSchema,
  LIMITS,
  listQuerySchema,
  METADATA_FILTER_PREFIX,
  parseRevisionText,
  registrationRequestSchema,
  validate,
  type DiscoverQuery,
  type ListQuery,
  type RegistryStatus,
} from '@membrane/protocol';
import type { Scope } from '../domain/change-scopes.js';
import type { BlockingReads } from '../service/blocking-reads.js';
import type { ListFilterEntries, RegistryService } from '../service/registry-service.js';
import { jsonAnswer, type Answer } from './answer.js';
import { decodeSegment, type CallRunner } from './call-runner.js';
import { answerLater } from './held-call.js';
import { NO_QUERY, parseQuery } from './query-string.js';
import { streamText } from './text-stream.js';

export interface CallsOptions {
  readonly runner: CallRunner;
  readonly service: RegistryService;
  readonly reads: BlockingReads;
  readonly status: () => RegistryStatus;
}

const HEARTBEAT_ANSWER = '{"success":true}';
/** A page of at most so many records is made at once; a larger one waits for its turn. */
const SMALL_PAGE_RECORDS = 500;

/**
 * Every call that reads or changes the tree, from request to answer. The fast path and the Express routers are two
 * ways to get here; that both give the same answer follows from it.
 */
export class Calls {
  readonly #runner: CallRunner;
  readonly #service: RegistryService;
  readonly #reads: BlockingReads;
  readonly #status: () => RegistryStatus;
  /** Large pages are made one after the other: memory holds what is half made. */
  #largePages: Promise<unknown> = Promise.resolve();

  constructor({ runner, service, reads, status }: CallsOptions) {
    this.#runner = runner;
    this.#service = service;
    this.#reads = reads;
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
        return jsonAnswer(JSON.stringify(service.heartbeatBatch(body)), this.#runner.revision());
      }
      service.heartbeat(validate(heartbeatSchema, body, 'body'));
      return jsonAnswer(HEARTBEAT_ANSWER, this.#runner.revision());
    });
  }

  /** `encodedId`: the path segment as it came. */
  discover(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#runner.answer(request, response, () => {
      const { id } = validate(discoverParamsSchema, { id: decodeSegment(encodedId) }, 'path');
      const given = parseQuery(request.url ?? '');
      // Most ask for nothing but the id.
      const query = given === NO_QUERY ? {} : validate(discoverQuerySchema, given, 'query');
      const answer = (): Answer => this.#answerDiscover(id, query);
      if (!isBlocking(query)) return answer();
      const scope = this.#service.discoverScope(id, query);
      this.#answerBlocking(
        request,
        response,
        query,
        scope,
        answer,
        () => !this.#service.isPresent(id, query),
      );
      return undefined;
    });
  }

  list(request: IncomingMessage, response: ServerResponse): void {
    this.#runner.answer(request, response, () => {
      const given = parseQuery(request.url ?? '');
      const query = validate(listQuerySchema, given, 'query');
      const metadata = Object.entries(given).filter(([key]) => key.startsWith(METADATA_FILTER_PREFIX));
      const answer = (): Promise<Answer | undefined> => this.#answerList(response, query, metadata);
      if (!isBlocking(query)) return answer();
      const scope = this.#service.listScope(query);
      this.#answerBlocking(request, response, query, scope, answer, () => false);
      return undefined;
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

  #answerDiscover(id: string, query: DiscoverQuery): Answer {
    const records = this.#service.discover(id, query);
    // The primary stands twice in the answer: written once.
    const [primary, ...others] = records.map((record) => JSON.stringify(record));
    const instances = [primary, ...others].join(',');
    return jsonAnswer(`${primary?.slice(0, -1) ?? ''},"instances":[${instances}]}`, this.#runner.revision());
  }

  #answerList(
    response: ServerResponse,
    query: ListQuery,
    metadata: ListFilterEntries,
  ): Promise<Answer | undefined> {
    if (query.limit === undefined && query.cursor === undefined) {
      const texts = this.#writeList(query, metadata);
      return streamText(response, this.#runner.revision(), texts).then(() => undefined);
    }
    if ((query.limit ?? LIMITS.maxPageSize) <= SMALL_PAGE_RECORDS)
      return this.#answerPage(response, query, metadata);
    const page = this.#largePages.then(() => this.#answerPage(response, query, metadata));
    this.#largePages = page.catch(() => undefined);
    return page;
  }

  /**
   * Made in turns, so that it stalls nobody. Its revision is that of its beginning: whoever watches from there misses
   * nothing. Undefined where nobody waits for it any more.
   */
  async #answerPage(
    response: ServerResponse,
    query: ListQuery,
    metadata: ListFilterEntries,
  ): Promise<Answer | undefined> {
    const hasLeft = (): boolean => response.destroyed;
    if (hasLeft()) return undefined;
    const revision = this.#runner.revision();
    const texts: string[] = [];
    const slices = this.#service.listPage(query, metadata);
    let slice = slices.next();
    for (; slice.done !== true; slice = slices.next()) {
      for (const record of slice.value) texts.push(JSON.stringify(record));
      await new Promise(setImmediate);
      if (hasLeft()) return undefined;
    }
    return { ...jsonAnswer(`[${texts.join(',')}]`, revision), nextCursor: slice.value };
  }

  #answerBlocking(
    request: IncomingMessage,
    response: ServerResponse,
    query: BlockingQuery,
    scope: Scope,
    answer: () => Answer | Promise<Answer | undefined>,
    isMissing: () => boolean,
  ): void {
    const { since, wait_ms: waitMs = 0, min_revision: minRevision } = query;
    const read = {
      scope,
      since: since === undefined ? undefined : parseRevisionText(since),
      waitMs,
      minRevision: minRevision === undefined ? undefined : parseRevisionText(minRevision),
      isMissing,
    };
    answerLater(
      this.#runner,
      request,
      response,
      (signal, tell) => {
        this.#reads.wait(read, signal, tell);
      },
      answer,
    );
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

type BlockingQuery = Pick<DiscoverQuery, 'since' | 'wait_ms' | 'min_revision'>;

function isBlocking({ since, wait_ms, min_revision }: BlockingQuery): boolean {
  return since !== undefined || wait_ms !== undefined || min_revision !== undefined;
}
