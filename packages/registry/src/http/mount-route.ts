import type { IRouter, NextFunction, Request, Response } from 'express';
import { MembraneError, type Route } from '@membrane/protocol';
import { problemAnswer, sendAnswer } from './answer.js';

/**
 * Mounts a route of the protocol, and 405 for every other method on its path. Path parameters are left to the
 * handler: Express decodes them with errors of its own.
 */
export function mountRoute(
  router: IRouter,
  route: Pick<Route, 'method' | 'path'>,
  handler: (request: Request, response: Response, next: NextFunction) => void,
): void {
  const path = new RegExp(`^${route.path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}/?$`);
  const allow = route.method === 'GET' ? 'GET, HEAD' : route.method;
  const mounted = router.route(path);
  if (route.method === 'GET') mounted.get(handler);
  else mounted.post(handler);
  mounted.all((request, response) => {
    const error = new MembraneError(
      'method_not_allowed',
      `${route.path} takes ${allow}; got ${request.method}`,
    );
    sendAnswer(response, { ...problemAnswer(error), allow });
  });
}
