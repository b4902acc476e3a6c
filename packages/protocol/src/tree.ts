import * as z from 'zod';
import { LIMITS } from './limits.js';
import { membraneRecordSchema, type MembraneRecord } from './membrane.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';
import { depthSchema } from './numbers.js';
import { statusCountsSchema, type StatusCounts } from './status.js';

/** The tree: how an operator changes it, and how it is read as a whole. */

export const membraneParamsSchema = z.object({ id: membraneIdSchema });

const ifRevisionSchema = z.int().min(0).meta({
  description: 'Changes nothing unless it is the `revision` of the membrane: the highest of its records.',
});

const commonFields = { namespace: namespaceSchema.nullish(), if_revision: ifRevisionSchema.nullish() };

export const moveRequestSchema = z
  .object({ parent: membraneIdSchema.nullable().meta({ description: 'Null: a root.' }), ...commonFields })
  .meta({ id: 'MoveRequest' });
export type MoveRequest = z.infer<typeof moveRequestSchema>;

export const dissolveRequestSchema = z.object(commonFields).meta({ id: 'DissolveRequest' });
export type DissolveRequest = z.infer<typeof dissolveRequestSchema>;

const heirsSchema = z
  .record(membraneIdSchema, membraneIdSchema)
  .refine(
    (heirs) => Object.keys(heirs).length > 0,
    'must name an heir for one child or more; `dissolve` gives all of them to the parent',
  )
  .refine(
    (heirs) => Object.keys(heirs).length <= LIMITS.maxHeirs,
    `must name at most ${LIMITS.maxHeirs} children`,
  );

export const divideRequestSchema = z
  .object({
    heirs: heirsSchema.meta({
      description:
        'For each child the sibling of the membrane that it goes to. Children that are not named go to the parent; messages to the first sibling named.',
      example: { 'job-1': 'worker-b', 'job-2': 'worker-c' },
    }),
    ...commonFields,
  })
  .meta({ id: 'DivideRequest' });
export type DivideRequest = z.infer<typeof divideRequestSchema>;

export const drainRequestSchema = z
  .object({
    enabled: z.boolean(),
    namespace: namespaceSchema.nullish(),
    instance_id: instanceIdSchema.nullish().meta({ description: 'One replica; without it, all of the id.' }),
    reason: z
      .string()
      .max(LIMITS.maxReasonLength)
      .nullish()
      .meta({ description: 'Shown in the records until the drain ends.' }),
  })
  .meta({ id: 'DrainRequest' });
export type DrainRequest = z.infer<typeof drainRequestSchema>;

export const treeChangeAnswerSchema = z
  .object({ success: z.literal(true), revision: z.number() })
  .meta({ id: 'TreeChangeAnswer' });
export type TreeChangeAnswer = z.infer<typeof treeChangeAnswerSchema>;

export const treeQuerySchema = z.object({
  namespace: namespaceSchema.optional(),
  depth: depthSchema.optional().meta({ description: 'Levels below the top; 0 shows the top alone.' }),
});
export type TreeQuery = z.infer<typeof treeQuerySchema>;

/** The record of a membrane's primary instance, how its instances are, and what stands below it. */
export type MembraneTree = MembraneRecord & { counts: StatusCounts; children: MembraneTree[] };

export const membraneTreeSchema: z.ZodType<MembraneTree> = membraneRecordSchema
  .extend({
    counts: statusCountsSchema.meta({ description: 'Its instances by status.' }),
    get children(): z.ZodArray<z.ZodType<MembraneTree>> {
      return z.array(membraneTreeSchema);
    },
  })
  .meta({ id: 'MembraneTree', description: 'A membrane by its primary instance, with its children.' });
