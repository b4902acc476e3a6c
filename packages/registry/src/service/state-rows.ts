import {
  communicationModeSchema,
  DEFAULT_INSTANCE_ID,
  endpointSchema,
  eventTypeSchema,
  instanceIdSchema,
  membraneIdSchema,
  membraneStatusSchema,
  metadataSchema,
  namespaceSchema,
  type JsonObject,
} from '@membrane/protocol';
import { z } from 'zod';

/**
 * How nodes, instances, messages and the journal stand in a store. A row that a change has not touched is not written.
 * What has its usual value is left out: a million rows are read at a start.
 */

export const NODE_PREFIX = 'node/';
export const INSTANCE_PREFIX = 'instance/';
export const MAIL_PREFIX = 'mail/';
export const DEAD_LETTER_PREFIX = 'dead/';
export const PRESERVATION_PREFIX = 'preservation/';

const heirsSchema = z
  .record(membraneIdSchema, membraneIdSchema.nullable())
  .transform((heirs): ReadonlyMap<string, string | null> => new Map(Object.entries(heirs)));

/** Frozen, since one stands for all. */
export const NO_METADATA: JsonObject = Object.freeze({});
export const NO_HASHES: string[] = Object.freeze([]) as unknown as string[];
export const USUAL_WEIGHT = 1;

const failingCheckSchema = z.object({ reason: z.string(), sinceMs: z.number() });

const drainSchema = z.object({ reason: z.string().nullable(), sinceMs: z.number() });

/** The instance that stands in the row of its node: nearly every id has this one alone, and a row costs more than it. */
export const INLINE_INSTANCE_ID = DEFAULT_INSTANCE_ID;

const revisionSchema = z.int().min(1).nullable();

export const describedSchema = z.object({
  endpoint: z.string(),
  communicationMode: communicationModeSchema,
  /** Null: the primary one alone. */
  endpoints: z.array(endpointSchema).nullable().default(null),
  healthCheckUrl: z.string().nullable().default(null),
  metadata: metadataSchema.default(() => NO_METADATA),
  weight: z.number().default(USUAL_WEIGHT),
  relay: z.boolean().default(false),
  heartbeatIntervalMs: z.int().positive(),
  status: membraneStatusSchema,
  registeredAtMs: z.number(),
  /** Null: the revision of the row. */
  incarnation: revisionSchema.default(null),
  drain: drainSchema.optional(),
  failingCheck: failingCheckSchema.optional(),
  /** Only beside a failing check: without one, it is silent who is unhealthy. */
  silent: z.boolean().optional(),
});

export const fenceSchema = z.object({
  tokenHash: z.string().nullable().default(null),
  attempt: z.number().min(0).default(0),
  replacedTokenHashes: z.array(z.string()).default(() => NO_HASHES),
});

export const liveRowSchema = describedSchema.extend(fenceSchema.shape);
export const endedRowSchema = fenceSchema.extend({
  ended: z.enum(['departed', 'removed', 'expired']),
  endedAtMs: z.number(),
  drain: drainSchema.optional(),
});

/** Null: the revision of the row. */
const inlineShape = { revision: revisionSchema.default(null) };

export const nodeRowSchema = z
  .object({
    /** Absent: null. */
    parent: membraneIdSchema.nullable().optional(),
    /** Absent: as the parent. */
    requestedParent: membraneIdSchema.nullable().optional(),
    /** Null: the revision of the row. */
    createdRevision: revisionSchema.default(null),
    /** Null: the revision of the row. */
    revision: revisionSchema.default(null),
    vacantSinceMs: z.number().nullable().default(null),
    tombstone: z
      .object({
        heir: membraneIdSchema.nullable(),
        heirs: heirsSchema,
        mailHeir: membraneIdSchema.nullable(),
      })
      .optional(),
    /**
     * What is known of the instance `INLINE_INSTANCE_ID`; null where nothing is. Absent in rows of format 1, which had a
     * row of its own for that.
     */
    live: liveRowSchema.extend(inlineShape).nullable().optional(),
    ended: endedRowSchema.extend(inlineShape).optional(),
  })
  .refine(({ live, parent }) => live !== undefined || parent !== undefined, {
    message: 'must have live or, as in format 1, parent',
  });

export const journalRowSchema = z.object({
  atMs: z.number(),
  events: z.array(
    z.object({
      event: eventTypeSchema,
      namespace: namespaceSchema,
      /** Empty: the whole namespace. */
      id: membraneIdSchema.or(z.literal('')),
      instanceId: instanceIdSchema,
      parent: membraneIdSchema.nullable(),
      instance: describedSchema.optional(),
      before: z.array(membraneIdSchema).optional(),
      after: z.array(membraneIdSchema).optional(),
      heir: membraneIdSchema.nullable().optional(),
      heirs: heirsSchema.optional(),
      preservation: z.object({ n: z.number(), s: z.number() }).optional(),
    }),
  ),
});

/** A subtree that is preserved. Its key ends with its names, of which that of its top is empty for the namespace. */
export const preservationRowSchema = z.object({
  namespace: namespaceSchema,
  id: membraneIdSchema.or(z.literal('')),
  sinceMs: z.number(),
});

/** A message, waiting or dead. What it says is text, as it is handed out, so that nobody need write it anew. */
export const mailRowSchema = z.object({
  envelope: z.string(),
  attempt: z.int().min(1),
  bytes: z.int().min(0),
  deadlineMs: z.number(),
});

/** Beside the row of a message that died. */
export const deadLetterRowSchema = z.object({ code: z.string(), reason: z.string(), diedAtMs: z.number() });
