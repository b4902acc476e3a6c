import * as z from 'zod';
import { membraneEventSchema } from './events.js';
import { LIMITS } from './limits.js';
import { membraneIdSchema, namespaceSchema } from './names.js';
import { revisionTextSchema } from './numbers.js';

/** Header by which a client of server-sent events says where it goes on; wins over `since`. */
export const LAST_EVENT_ID_HEADER = 'Last-Event-ID';

const watchIdsSchema = z
  .string()
  .transform((text) => text.split(','))
  .pipe(
    z
      .array(membraneIdSchema)
      .max(LIMITS.maxWatchIds, `must be at most ${LIMITS.maxWatchIds} ids, separated by commas`),
  )
  .meta({ description: 'Only these ids, separated by commas; they need not be there. Not with `subtree`.' });

export const watchQuerySchema = z
  .object({
    namespace: namespaceSchema.optional(),
    subtree: membraneIdSchema
      .optional()
      .meta({ description: 'Only this membrane and what is below it. Not with `ids`.' }),
    ids: watchIdsSchema.optional(),
    since: revisionTextSchema
      .optional()
      .meta({ description: 'Go on after this revision. Without it, from now on.' }),
  })
  .refine(({ subtree, ids }) => subtree === undefined || ids === undefined, {
    path: ['ids'],
    message: 'must not be given together with subtree',
  });
export type WatchQuery = z.infer<typeof watchQuerySchema>;

export const watchResetReasonSchema = z.enum(['other_log', 'too_old', 'too_slow']).meta({
  description:
    '`other_log`: the revision belongs to another log. `too_old`: the log does not go back that far. `too_slow`: this watcher did not read what waited for it.',
});
export type WatchResetReason = z.infer<typeof watchResetReasonSchema>;

const bookmarkSchema = z
  .object({ event: z.literal('bookmark'), revision: z.number() })
  .meta({ id: 'WatchBookmark', description: 'Everything up to this revision was told.' });

const resetSchema = z
  .object({ event: z.literal('reset'), revision: z.number(), reason: watchResetReasonSchema })
  .meta({
    id: 'WatchReset',
    description: 'Something was missed: read the state anew. The stream goes on after this revision.',
  });

/** The data of an event of `GET /watch`. */
export const watchEventSchema = z
  .union([membraneEventSchema, bookmarkSchema, resetSchema])
  .meta({ id: 'WatchEvent', description: 'The data of one server-sent event.' });
export type WatchEvent = z.infer<typeof watchEventSchema>;
