import type { IRouter, NextFunction, Request, Response } from 'express';
import { MembraneError, type Route } from '@membrane/protocol';
import { problemAnswer, sendAnswer } from './answer.js';

export type RouteHandler = (request: Request, response: Response, next: NextFunction) => void;

/** Mounts a route of the protocol that has its path for itself. */
export function mountRoute(
  router: IRouter,
  route: Pick<Route, 'method' | 'path'>,
  handler: RouteHandler,
): void {
  mountPath(router, route.path, { [route.method]: handler });
}

/**
 * Mounts what a path of the protocol takes, and 405 for every other method. Path parameters are left to the handlers:
 * Express decodes them with errors of its own. A handler of GET gets HEAD too.
 */
export function mountPath(
  router: IRouter,
  path: string,
  { GET: get, POST: post }: Partial<Record<Route['method'], RouteHandler>>,
): void {
  const mounted = router.route(pathPattern(path));
  if (get !== undefined) mounted.get(get);
  if (post !== undefined) mounted.post(post);
  const allow = [...(get === undefined ? [] : ['GET', 'HEAD']), ...(post === undefined ? [] : ['POST'])].join(
    ', ',
  );
  mounted.all((request, response) => {
    const error = new MembraneError('method_not_allowed', `${path} takes ${allow}; got ${request.method}`);
    sendAnswer(response, { ...problemAnswer(error), allow });
  });
}

export function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}/?$`);
}
