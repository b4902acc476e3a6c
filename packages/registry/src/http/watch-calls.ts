import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  DEFAULT_NAMESPACE,
  LAST_EVENT_ID_HEADER,
  MembraneError,
  parseRevisionText,
  revisionTextSchema,
  ROUTES,
  validate,
  watchQuerySchema,
} from '@membrane/protocol';
import type { BlockingReads } from '../service/blocking-reads.js';
import type { ShownRevision } from '../service/revision-log.js';
import type { WatchHub } from '../service/watch-hub.js';
import { problemAnswer, sendAnswer } from './answer.js';
import type { CallRunner } from './call-runner.js';
import { answerLater } from './held-call.js';
import { parseQuery } from './query-string.js';
import { WatchStream } from './watch-stream.js';

export interface WatchCallsOptions {
  readonly runner: CallRunner;
  readonly hub: WatchHub;
  readonly reads: BlockingReads;
  /** False for a revision of another history. */
  readonly owns: (shown: ShownRevision) => boolean;
}

/** The call that watches, from request to stream. */
export class WatchCalls {
  readonly #options: WatchCallsOptions;

  constructor(options: WatchCallsOptions) {
    this.#options = options;
  }

  watch(request: IncomingMessage, response: ServerResponse): void {
    const { runner, hub, reads, owns } = this.#options;
    // HEAD too: it would be answered by a stream without an end.
    if (request.method !== 'GET') {
      const message = `${ROUTES.watch.path} takes GET; got ${String(request.method)}`;
      sendAnswer(response, {
        ...problemAnswer(new MembraneError('method_not_allowed', message)),
        allow: 'GET',
      });
      return;
    }
    runner.answer(request, response, () => {
      const query = validate(watchQuerySchema, parseQuery(request.url ?? ''), 'query');
      const filter = {
        namespace: query.namespace ?? DEFAULT_NAMESPACE,
        subtree: query.subtree,
        ids: query.ids === undefined ? undefined : new Set(query.ids),
      };
      const start = toStart(request.headers['last-event-id'], query.since);
      hub.checkRoom();
      const isAhead = start !== undefined && owns(start);
      answerLater(
        runner,
        request,
        response,
        (signal, tell) => {
          reads.whenAt(isAhead ? start.revision : 0, signal, tell);
        },
        () => {
          hub.checkRoom();
          if (response.destroyed) return undefined;
          const stream = new WatchStream(response, runner.revision());
          const watcher = hub.open(filter, start, stream);
          stream.onDrained(() => {
            watcher.drained();
          });
          response.once('close', () => {
            hub.close(watcher);
          });
          return undefined;
        },
      );
      return undefined;
    });
  }
}

/** A client that comes back by itself sends both: the header tells how far it has come since. */
function toStart(
  lastEventId: string | string[] | undefined,
  since: string | undefined,
): ShownRevision | undefined {
  const text =
    lastEventId === undefined || lastEventId === ''
      ? since
      : validate(revisionTextSchema, lastEventId, `${LAST_EVENT_ID_HEADER} header`);
  return text === undefined ? undefined : parseRevisionText(text);
}
