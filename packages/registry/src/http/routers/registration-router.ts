import { Router } from 'express';
import { ROUTES } from '@membrane/protocol';
import type { Calls } from '../calls.js';
import { mountRoute } from '../mount-route.js';

export function registrationRouter(calls: Calls): Router {
  const router = Router();
  mountRoute(router, ROUTES.register, (request, response) => {
    calls.register(request, response);
  });
  mountRoute(router, ROUTES.deregister, (request, response) => {
    calls.deregister(request, response);
  });
  mountRoute(router, ROUTES.heartbeat, (request, response) => {
    calls.heartbeat(request, response);
  });
  return router;
}
