import type { z } from 'zod';
import type { ErrorCode } from './error-codes.js';
import { membraneEventSchema } from './events.js';
import {
  heartbeatAnswerSchema,
  heartbeatBatchAnswerSchema,
  heartbeatBatchSchema,
  heartbeatSchema,
} from './heartbeat.js';
import { discoveredMembraneSchema, membraneRecordSchema } from './membrane.js';
import { discoverParamsSchema, discoverQuerySchema, eventsQuerySchema, listQuerySchema } from './queries.js';
import {
  deregistrationAnswerSchema,
  deregistrationRequestSchema,
  registrationAnswerSchema,
  registrationRequestSchema,
} from './registration.js';
import { healthSchema, registryStatusSchema } from './status.js';

/** Response headers of the registry. */
export const REVISION_HEADER = 'X-Membrane-Revision';
export const NEXT_CURSOR_HEADER = 'X-Membrane-Next-Cursor';

export interface Route {
  method: 'GET' | 'POST';
  /** OpenAPI style: `/discover/{id}`. */
  path: string;
  summary: string;
  description: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  answer: z.ZodType;
  /** What it can refuse with, besides what any call can. */
  errors: readonly ErrorCode[];
}

/** Every call of the registry: its router, its fast path, its client and its OpenAPI document start here. */
export const ROUTES = {
  register: {
    method: 'POST',
    path: '/register',
    summary: 'Register a membrane, or replace or update its registration',
    description:
      'The same `lease_token` is the same registration; another token, or none, replaces it under a new incarnation. Answered once the change is durable.',
    body: registrationRequestSchema,
    answer: registrationAnswerSchema,
    errors: ['superseded', 'cycle', 'conflict', 'removed', 'store_unavailable'],
  },
  deregister: {
    method: 'POST',
    path: '/deregister',
    summary: 'End a registration',
    description: 'Answered once the change is durable.',
    body: deregistrationRequestSchema,
    answer: deregistrationAnswerSchema,
    errors: ['not_registered', 'superseded', 'lease_token_required', 'removed', 'store_unavailable'],
  },
  heartbeat: {
    method: 'POST',
    path: '/heartbeat',
    summary: 'Renew one lease, or a batch of them',
    description:
      'Touches memory only. A batch is answered by 200 with only the failures listed, whatever their number.',
    body: heartbeatSchema.or(heartbeatBatchSchema),
    answer: heartbeatAnswerSchema.or(heartbeatBatchAnswerSchema),
    errors: ['not_registered', 'superseded', 'lease_token_required', 'removed'],
  },
  discover: {
    method: 'GET',
    path: '/discover/{id}',
    summary: 'Find a membrane by its id',
    description: 'The primary instance, and every instance of the id under `instances`.',
    params: discoverParamsSchema,
    query: discoverQuerySchema,
    answer: discoveredMembraneSchema,
    errors: ['not_found'],
  },
  list: {
    method: 'GET',
    path: '/list',
    summary: 'List membranes',
    description: `One record an instance, oldest id first. Without \`limit\` and \`cursor\` the whole array, streamed; with either a page, and \`${NEXT_CURSOR_HEADER}\` where there is more. \`meta.KEY=VALUE\` filters by a top-level key of the metadata.`,
    query: listQuerySchema,
    answer: membraneRecordSchema.array(),
    errors: [],
  },
  status: {
    method: 'GET',
    path: '/status',
    summary: 'What this registry is and holds',
    description: 'Counts are kept, not counted: the call costs the same at any size.',
    answer: registryStatusSchema,
    errors: [],
  },
  events: {
    method: 'GET',
    path: '/events',
    summary: 'The journal of changes, newest last',
    description: 'Heartbeats are not changes and are not in it. The last 100,000 changes are kept.',
    query: eventsQuerySchema,
    answer: membraneEventSchema.array(),
    errors: [],
  },
  live: {
    method: 'GET',
    path: '/health/live',
    summary: 'Is the process up',
    description: 'Answers from the start, also while the store is being loaded.',
    answer: healthSchema,
    errors: [],
  },
  ready: {
    method: 'GET',
    path: '/health/ready',
    summary: 'Can it take every call',
    description: '503 while the store is being loaded, while it cannot write, and while shutting down.',
    answer: healthSchema,
    errors: ['not_ready', 'store_unavailable'],
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;
