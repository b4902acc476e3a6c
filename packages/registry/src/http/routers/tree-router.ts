import type { Request } from 'express';
import { Router } from 'express';
import { ROUTES } from '@membrane/protocol';
import { mountRoute } from '../mount-route.js';
import type { TreeCalls } from '../tree-calls.js';

export function treeRouter(calls: TreeCalls): Router {
  const router = Router();
  mountRoute(router, ROUTES.forest, (request, response) => {
    calls.tree(request, response, undefined);
  });
  mountRoute(router, ROUTES.tree, (request, response) => {
    calls.tree(request, response, segmentOf(request));
  });
  for (const name of ['move', 'dissolve', 'divide', 'drain'] as const) {
    mountRoute(router, ROUTES[name], (request, response) => {
      calls[name](request, response, segmentOf(request));
    });
  }
  return router;
}

const segmentOf = (request: Request): string => request.path.split('/')[2] ?? '';
