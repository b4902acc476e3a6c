import { Router } from 'express';
import { ROUTES } from '@membrane/protocol';
import { pathPattern } from '../mount-route.js';
import type { WatchCalls } from '../watch-calls.js';

export function watchRouter(calls: WatchCalls): Router {
  const router = Router();
  // Every method: what GET answers is nothing for HEAD.
  router.all(pathPattern(ROUTES.watch.path), (request, response) => {
    calls.watch(request, response);
  });
  return router;
}
