import * as z from 'zod';
import { LIMITS } from './limits.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';
import { incarnationSchema, leaseTokenSchema } from './registration.js';

export const heartbeatSchema = z
  .object({
    id: membraneIdSchema,
    namespace: namespaceSchema.nullish(),
    instance_id: instanceIdSchema.nullish(),
    incarnation: incarnationSchema.nullish(),
    lease_token: leaseTokenSchema.nullish(),
  })
  .meta({ id: 'Heartbeat' });
export type Heartbeat = z.infer<typeof heartbeatSchema>;

export const heartbeatBatchSchema = z
  .object({
    lease_token: leaseTokenSchema.nullish().meta({ description: 'For every entry that brings none.' }),
    heartbeats: z.array(heartbeatSchema).max(LIMITS.maxHeartbeatBatch),
  })
  .meta({ id: 'HeartbeatBatch' });
export type HeartbeatBatch = z.infer<typeof heartbeatBatchSchema>;

export const heartbeatAnswerSchema = z.object({ success: z.literal(true) }).meta({ id: 'HeartbeatAnswer' });

export const heartbeatBatchAnswerSchema = z
  .object({
    success: z.boolean().meta({ description: 'True where none failed.' }),
    renewed: z.number(),
    failed: z.array(z.object({ index: z.number(), id: z.string(), code: z.string() })),
  })
  .meta({ id: 'HeartbeatBatchAnswer' });
export type HeartbeatBatchAnswer = z.infer<typeof heartbeatBatchAnswerSchema>;
