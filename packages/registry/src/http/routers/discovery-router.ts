import { Router } from 'express';
import { ROUTES } from '@membrane/protocol';
import type { Calls } from '../calls.js';
import { mountRoute } from '../mount-route.js';

export function discoveryRouter(calls: Calls): Router {
  const router = Router();
  mountRoute(router, ROUTES.discover, (request, response) => {
    const [, , segment = ''] = request.path.split('/');
    calls.discover(request, response, segment);
  });
  mountRoute(router, ROUTES.list, (request, response) => {
    calls.list(request, response);
  });
  return router;
}
