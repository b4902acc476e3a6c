import { Router } from 'express';
import { ROUTES, type MembraneError } from '@membrane/protocol';
import { jsonAnswer, problemAnswer, sendAnswer } from '../answer.js';
import type { Calls } from '../calls.js';
import { mountRoute } from '../mount-route.js';

/** What operators and their tools ask. `findUnreadiness`: why it should get no traffic now, or undefined. */
export function operationsRouter(calls: Calls, findUnreadiness: () => MembraneError | undefined): Router {
  const router = Router();
  mountRoute(router, ROUTES.status, (request, response) => {
    calls.status(request, response);
  });
  mountRoute(router, ROUTES.events, (request, response) => {
    calls.events(request, response);
  });
  mountRoute(router, ROUTES.live, (_request, response) => {
    sendAnswer(response, jsonAnswer('{"status":"live"}'));
  });
  mountRoute(router, ROUTES.ready, (_request, response) => {
    const unreadiness = findUnreadiness();
    sendAnswer(
      response,
      unreadiness === undefined ? jsonAnswer('{"status":"ready"}') : problemAnswer(unreadiness),
    );
  });
  return router;
}
