import * as z from 'zod';
import { LIMITS } from './limits.js';
import { communicationModeSchema, membraneStatusSchema } from './membrane.js';
import { membraneIdSchema, namespaceSchema } from './names.js';
import { countSchema, depthSchema, revisionTextSchema, waitSchema } from './numbers.js';

export const discoverParamsSchema = z.object({ id: membraneIdSchema });

/** What a read may wait for. */
const blockingShape = {
  since: revisionTextSchema.optional().meta({
    description:
      'With `wait_ms`: answer when something in the scope of this read has changed since this revision.',
  }),
  wait_ms: waitSchema.optional().meta({ description: 'How long to wait for a change.' }),
  min_revision: revisionTextSchema.optional().meta({
    description: 'Answer no earlier than this revision; 503 where it does not come within 5 s.',
  }),
};

export const discoverQuerySchema = z.object({ namespace: namespaceSchema.optional(), ...blockingShape });
export type DiscoverQuery = z.infer<typeof discoverQuerySchema>;

/** Prefix of the query keys that filter a list by metadata: `meta.zone=a`. */
export const METADATA_FILTER_PREFIX = 'meta.';

export const listQuerySchema = z.object({
  namespace: namespaceSchema.optional(),
  parent: z
    .union([z.literal(''), membraneIdSchema])
    .optional()
    .meta({ description: 'Children of this membrane; empty: the roots.' }),
  subtree: membraneIdSchema.optional().meta({ description: 'This membrane and whatever stands below it.' }),
  depth: depthSchema.optional().meta({
    description: 'Levels below the `subtree`, or below the roots; 0 is that membrane, or the roots, alone.',
  }),
  communication_mode: communicationModeSchema.optional(),
  status: membraneStatusSchema.optional(),
  limit: countSchema(LIMITS.maxPageSize).optional().meta({
    description:
      'Records on a page at most: it may have fewer, and there is more as long as it has a cursor. Without `limit` and `cursor` the answer is the whole list.',
  }),
  cursor: z
    .string()
    .regex(/^[0-9]{1,16}\.[0-9]{1,16}$/, 'must be the X-Membrane-Next-Cursor of an earlier page')
    .optional()
    .meta({ description: 'The `X-Membrane-Next-Cursor` of the page before.' }),
  ...blockingShape,
});
export type ListQuery = z.infer<typeof listQuerySchema>;

export const eventsQuerySchema = z.object({
  membrane: membraneIdSchema.optional(),
  namespace: namespaceSchema.optional(),
  since: revisionTextSchema
    .optional()
    .meta({ description: 'Only events of later revisions, the oldest first page of them.' }),
  limit: countSchema(LIMITS.maxPageSize)
    .optional()
    .meta({ description: 'Events at most; 100 unless given.' }),
});
export type EventsQuery = z.infer<typeof eventsQuerySchema>;
