import type { Request } from 'express';
import { Router } from 'express';
import { ROUTES } from '@membrane/protocol';
import type { MailboxCalls } from '../mailbox-calls.js';
import { mountPath } from '../mount-route.js';

export function mailboxRouter(calls: MailboxCalls): Router {
  const router = Router();
  mountPath(router, ROUTES.postMessage.path, {
    GET: (request, response) => {
      calls.collect(request, response, segmentOf(request));
    },
    POST: (request, response) => {
      calls.post(request, response, segmentOf(request));
    },
  });
  mountPath(router, ROUTES.ackMessages.path, {
    POST: (request, response) => {
      calls.ack(request, response, segmentOf(request));
    },
  });
  mountPath(router, ROUTES.deadLetters.path, {
    GET: (request, response) => {
      calls.deadLetters(request, response, segmentOf(request));
    },
    POST: (request, response) => {
      calls.changeDeadLetters(request, response, segmentOf(request));
    },
  });
  return router;
}

const segmentOf = (request: Request): string => request.path.split('/')[2] ?? '';
