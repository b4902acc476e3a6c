import {
  ERROR_CODES,
  LAST_EVENT_ID_HEADER,
  NEXT_CURSOR_HEADER,
  PROBLEM_MEDIA_TYPE,
  problemSchema,
  REVISION_HEADER,
  revisionTextSchema,
  ROUTES,
  type ErrorCode,
  type Route,
} from '@membrane/protocol';
import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import { VERSION } from '../version.js';

/** What any call can be refused with. */
const COMMON_ERRORS: readonly ErrorCode[] = ['invalid_request', 'not_ready'];
/** What any call with a body can be refused with. */
const BODY_ERRORS: readonly ErrorCode[] = ['payload_too_large', 'unsupported_media_type', 'request_timeout'];
const STATELESS_PATHS: ReadonlySet<string> = new Set([ROUTES.live.path, ROUTES.ready.path]);

/** The OpenAPI 3.1 document of the registry, from the routes of the protocol. */
export function createOpenApiDocument(): ReturnType<typeof createDocument> {
  const routes: [string, Route][] = Object.entries(ROUTES);
  const paths: ZodOpenApiPathsObject = {};
  for (const [name, route] of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: toOperation(name, route) };
  }
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Membrane registry',
      version: VERSION,
      description:
        'Processes that form trees register here, stay alive by heartbeats, and find each other by name. Unknown fields in a request are ignored; `null` is the same as absent for every optional field. Branch on the `code` of an error.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
  });
}

function toOperation(name: string, route: Route): ZodOpenApiOperationObject {
  const headers: Record<string, z.ZodType> = {};
  if (!STATELESS_PATHS.has(route.path)) {
    headers[REVISION_HEADER] = z.string().meta({ description: 'Log id and revision: `LOG:REVISION`.' });
  }
  if (route.path === ROUTES.list.path) {
    headers[NEXT_CURSOR_HEADER] = z.string().optional().meta({ description: '`cursor` of the next page.' });
  }
  const requestHeaders =
    route.path === ROUTES.watch.path
      ? z.object({
          [LAST_EVENT_ID_HEADER]: revisionTextSchema
            .optional()
            .meta({ description: 'As `since`, and wins over it: clients send it when they come back.' }),
        })
      : undefined;
  return {
    operationId: name,
    summary: route.summary,
    description: route.description,
    ...(route.params === undefined && route.query === undefined
      ? {}
      : {
          requestParams: {
            ...(route.params === undefined ? {} : { path: route.params }),
            ...(route.query === undefined ? {} : { query: route.query }),
            ...(requestHeaders === undefined ? {} : { header: requestHeaders }),
          },
        }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } }),
    responses: {
      [String(route.answerStatus ?? 200)]: {
        description: route.answerStatus === 202 ? 'Kept' : 'Done',
        headers: z.object(headers),
        content: { [route.answerMediaType ?? 'application/json']: { schema: route.answer } },
      },
      ...toErrorResponses([
        ...COMMON_ERRORS,
        ...(route.body === undefined ? [] : BODY_ERRORS),
        ...route.errors,
      ]),
    },
  };
}

/** One response a status, which lists its codes. */
function toErrorResponses(codes: readonly ErrorCode[]): ZodOpenApiResponsesObject {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, sameStatus]) => [
      String(status),
      {
        description: sameStatus.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}`).join('; '),
        content: { [PROBLEM_MEDIA_TYPE]: { schema: problemSchema } },
      },
    ]),
  );
}
