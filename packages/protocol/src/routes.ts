import type * as z from 'zod';
import type { ErrorCode } from './error-codes.js';
import { membraneEventSchema } from './events.js';
import {
  heartbeatAnswerSchema,
  heartbeatBatchAnswerSchema,
  heartbeatBatchSchema,
  heartbeatSchema,
} from './heartbeat.js';
import {
  deadLetterSchema,
  deadLettersAnswerSchema,
  deadLettersQuerySchema,
  deadLettersRequestSchema,
  mailboxAckAnswerSchema,
  mailboxAckRequestSchema,
  mailboxCollectQuerySchema,
  mailboxItemSchema,
  mailboxParamsSchema,
  mailboxPostAnswerSchema,
  mailboxPostQuerySchema,
} from './mailbox.js';
import { envelopeSchema } from './message.js';
import { discoveredMembraneSchema, membraneRecordSchema } from './membrane.js';
import { discoverParamsSchema, discoverQuerySchema, eventsQuerySchema, listQuerySchema } from './queries.js';
import {
  deregistrationAnswerSchema,
  deregistrationRequestSchema,
  registrationAnswerSchema,
  registrationRequestSchema,
} from './registration.js';
import {
  dissolveRequestSchema,
  divideRequestSchema,
  drainRequestSchema,
  membraneParamsSchema,
  membraneTreeSchema,
  moveRequestSchema,
  treeChangeAnswerSchema,
  treeQuerySchema,
} from './tree.js';
import { healthSchema, registryStatusSchema } from './status.js';
import { watchEventSchema, watchQuerySchema } from './watch.js';

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
  /** 200 unless given. */
  answerStatus?: 202;
  /** JSON unless given; then `answer` is the data of one event. */
  answerMediaType?: 'text/event-stream';
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
    description:
      'The primary instance, and every instance of the id under `instances`. With `wait_ms` it waits: for a change since `since`, or for the first registration of an id that is not there.',
    params: discoverParamsSchema,
    query: discoverQuerySchema,
    answer: discoveredMembraneSchema,
    errors: ['not_found', 'rate_limited'],
  },
  list: {
    method: 'GET',
    path: '/list',
    summary: 'List membranes',
    description: `One record an instance, oldest id first. Without \`limit\` and \`cursor\` the whole array, streamed; with either a page, and \`${NEXT_CURSOR_HEADER}\` where there is more. \`meta.KEY=VALUE\` filters by a top-level key of the metadata. With \`since\` and \`wait_ms\` it waits for a change among the children of \`parent\`, or in the namespace.`,
    query: listQuerySchema,
    answer: membraneRecordSchema.array(),
    errors: ['rate_limited'],
  },
  forest: {
    method: 'GET',
    path: '/tree',
    summary: 'All trees of a namespace',
    description:
      'Nested, the oldest first. A membrane whose parent is not registered (`detached`) stands at the top. The whole answer is of one revision.',
    query: treeQuerySchema,
    answer: membraneTreeSchema.array(),
    errors: [],
  },
  tree: {
    method: 'GET',
    path: '/tree/{id}',
    summary: 'A membrane and what stands below it',
    description:
      'Nested, the oldest first; only what hangs together: not what is detached below. The whole answer is of one revision.',
    params: membraneParamsSchema,
    query: treeQuerySchema,
    answer: membraneTreeSchema,
    errors: ['not_found'],
  },
  move: {
    method: 'POST',
    path: '/membranes/{id}/move',
    summary: 'Give a membrane another parent',
    description:
      'What stands below it comes along. It stays there when it registers again as before. Answered once it is durable.',
    params: membraneParamsSchema,
    body: moveRequestSchema,
    answer: treeChangeAnswerSchema,
    errors: ['not_found', 'cycle', 'conflict', 'store_unavailable'],
  },
  dissolve: {
    method: 'POST',
    path: '/membranes/{id}/dissolve',
    summary: 'End a membrane; its children belong to its parent',
    description:
      'Its instances get 410 `removed`; its messages go to the parent. One write, whatever the number of children. Answered once it is durable.',
    params: membraneParamsSchema,
    body: dissolveRequestSchema,
    answer: treeChangeAnswerSchema,
    errors: ['not_found', 'conflict', 'store_unavailable'],
  },
  divide: {
    method: 'POST',
    path: '/membranes/{id}/divide',
    summary: 'End a membrane; its children are shared out among its siblings',
    description: 'As `dissolve`, with an heir for each child that is named. Answered once it is durable.',
    params: membraneParamsSchema,
    body: divideRequestSchema,
    answer: treeChangeAnswerSchema,
    errors: ['not_found', 'conflict', 'store_unavailable'],
  },
  drain: {
    method: 'POST',
    path: '/membranes/{id}/drain',
    summary: 'Take a membrane out of use, or back into it',
    description:
      'It is kept alive and listed, says that it wants nothing new, and stays so until the drain is ended or another process takes the name. Answered once it is durable.',
    params: membraneParamsSchema,
    body: drainRequestSchema,
    answer: treeChangeAnswerSchema,
    errors: ['not_found', 'store_unavailable'],
  },
  postMessage: {
    method: 'POST',
    path: '/messages/{id}',
    summary: 'Leave a message in the mailbox of a membrane',
    description:
      'Kept until its receiver collects it or its `ttl_ms` is over; then it is a dead letter. Answered once it is durable. A message of an id that is there already changes nothing.',
    params: mailboxParamsSchema,
    query: mailboxPostQuerySchema,
    body: envelopeSchema,
    answer: mailboxPostAnswerSchema,
    answerStatus: 202,
    errors: ['not_found', 'expired', 'mailbox_full', 'store_unavailable'],
  },
  collectMessages: {
    method: 'GET',
    path: '/messages/{id}',
    summary: 'Collect messages from a mailbox',
    description:
      'Oldest first. Each is hidden from others for 30 s; one that is not acknowledged by then is handed out again. Shows the lease token by `Authorization: Lease …`.',
    params: mailboxParamsSchema,
    query: mailboxCollectQuerySchema,
    answer: mailboxItemSchema.array(),
    errors: ['not_registered', 'superseded', 'lease_token_required', 'removed'],
  },
  ackMessages: {
    method: 'POST',
    path: '/messages/{id}/ack',
    summary: 'Say what became of collected messages',
    description:
      '`processed` ends a message, `failed` makes it a dead letter. Answered once that is durable.',
    params: mailboxParamsSchema,
    body: mailboxAckRequestSchema,
    answer: mailboxAckAnswerSchema,
    errors: ['not_registered', 'superseded', 'lease_token_required', 'removed', 'store_unavailable'],
  },
  deadLetters: {
    method: 'GET',
    path: '/messages/{id}/dead',
    summary: 'List the dead letters of a mailbox',
    description: 'Oldest first. Kept for 7 days, the newest 1,000 of a membrane.',
    params: mailboxParamsSchema,
    query: deadLettersQuerySchema,
    answer: deadLetterSchema.array(),
    errors: [],
  },
  changeDeadLetters: {
    method: 'POST',
    path: '/messages/{id}/dead',
    summary: 'Put dead letters back into the mailbox, or discard them',
    description: 'Answered once it is durable.',
    params: mailboxParamsSchema,
    body: deadLettersRequestSchema,
    answer: deadLettersAnswerSchema,
    errors: ['mailbox_full', 'store_unavailable'],
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
  watch: {
    method: 'GET',
    path: '/watch',
    summary: 'Hear of changes as they happen',
    description:
      'Server-sent events. All events of one revision are a batch, and only its last carries an `id`, `LOG:REVISION`: resume with it as `since` or `Last-Event-ID`. `bookmark` says up to where everything was told, every 15 s. After `reset` read the state anew; the stream goes on from there. What comes into a subtree brings everything below it along, as `moved` without `before`.',
    query: watchQuerySchema,
    answer: watchEventSchema,
    answerMediaType: 'text/event-stream',
    errors: ['rate_limited'],
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
