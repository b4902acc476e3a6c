import express, { type ErrorRequestHandler, type Express } from 'express';
import { MembraneError } from '@membrane/protocol';
import { problemAnswer, sendAnswer } from './answer.js';
import type { CallRunner } from './call-runner.js';
import type { Calls } from './calls.js';
import type { MailboxCalls } from './mailbox-calls.js';
import type { TreeCalls } from './tree-calls.js';
import type { WatchCalls } from './watch-calls.js';
import { discoveryRouter } from './routers/discovery-router.js';
import { docsRouter } from './routers/docs-router.js';
import { mailboxRouter } from './routers/mailbox-router.js';
import { operationsRouter } from './routers/operations-router.js';
import { registrationRouter } from './routers/registration-router.js';
import { treeRouter } from './routers/tree-router.js';
import { watchRouter } from './routers/watch-router.js';

export interface AppOptions {
  readonly runner: CallRunner;
  readonly calls: Calls;
  readonly mailboxCalls: MailboxCalls;
  readonly treeCalls: TreeCalls;
  readonly watchCalls: WatchCalls;
  /** Why it should get no traffic now, or undefined. */
  readonly findUnreadiness: () => MembraneError | undefined;
}

/** The whole HTTP interface. The fast path takes some of it in front, to the same answers. */
export function createApp(options: AppOptions): Express {
  const { runner, calls, mailboxCalls, treeCalls, watchCalls, findUnreadiness } = options;
  const app = express();
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing');
  app.use(registrationRouter(calls));
  app.use(discoveryRouter(calls));
  app.use(treeRouter(treeCalls));
  app.use(mailboxRouter(mailboxCalls));
  app.use(watchRouter(watchCalls));
  app.use(operationsRouter(calls, findUnreadiness));
  app.use(docsRouter());
  app.use((request, response) => {
    const error = new MembraneError('not_found', `no such path: ${request.path}; /docs lists them all`);
    sendAnswer(response, problemAnswer(error));
  });
  const onError: ErrorRequestHandler = (error: unknown, request, response, next) => {
    if (response.headersSent) next(error);
    else runner.fail(request, response, toMembraneError(error));
  };
  app.use(onError);
  return app;
}

/** Express and its parts throw errors with a status where a request cannot be understood. */
function toMembraneError(error: unknown): unknown {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return status === 400 ? new MembraneError('invalid_request', 'the path cannot be decoded') : error;
}
