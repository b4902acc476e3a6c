import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  dissolveRequestSchema,
  divideRequestSchema,
  drainRequestSchema,
  LIMITS,
  membraneParamsSchema,
  moveRequestSchema,
  treeQuerySchema,
  validate,
  type TreeChangeAnswer,
} from '@membrane/protocol';
import type { TreeService } from '../service/tree-service.js';
import { jsonAnswer } from './answer.js';
import { decodeSegment, type CallRunner } from './call-runner.js';
import { parseQuery } from './query-string.js';
import { streamText } from './text-stream.js';

const BODY_LIMITS = { maxBytes: LIMITS.maxBodyBytes };

/** The calls of the tree, from request to answer. `encodedId`: the path segment as it came. */
export class TreeCalls {
  readonly #runner: CallRunner;
  readonly #service: TreeService;

  constructor({ runner, service }: { runner: CallRunner; service: TreeService }) {
    this.#runner = runner;
    this.#service = service;
  }

  /** `encodedId` undefined: all trees. */
  tree(request: IncomingMessage, response: ServerResponse, encodedId: string | undefined): void {
    this.#runner.answer(request, response, async () => {
      const id = encodedId === undefined ? undefined : toId(encodedId);
      const query = validate(treeQuerySchema, parseQuery(request.url ?? ''), 'query');
      const { revision, pieces } = await this.#service.tree(id, query);
      await streamText(response, revision, pieces);
      return undefined;
    });
  }

  move(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#change(request, response, (body) =>
      this.#service.move(toId(encodedId), validate(moveRequestSchema, body, 'body')),
    );
  }

  dissolve(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#change(request, response, (body) =>
      this.#service.dissolve(toId(encodedId), validate(dissolveRequestSchema, body, 'body')),
    );
  }

  divide(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#change(request, response, (body) =>
      this.#service.divide(toId(encodedId), validate(divideRequestSchema, body, 'body')),
    );
  }

  drain(request: IncomingMessage, response: ServerResponse, encodedId: string): void {
    this.#change(request, response, (body) =>
      this.#service.drain(toId(encodedId), validate(drainRequestSchema, body, 'body')),
    );
  }

  #change(
    request: IncomingMessage,
    response: ServerResponse,
    call: (body: object) => Promise<TreeChangeAnswer>,
  ): void {
    this.#runner.answerBody(request, response, BODY_LIMITS, async (body) => {
      const answer = await call(body);
      return jsonAnswer(JSON.stringify(answer), this.#runner.revision());
    });
  }
}

function toId(encodedId: string): string {
  return validate(membraneParamsSchema, { id: decodeSegment(encodedId) }, 'path').id;
}
