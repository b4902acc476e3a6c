import * as z from 'zod';
import { LIMITS } from './limits.js';
import {
  addressSchema,
  communicationModeSchema,
  endpointSchema,
  heartbeatIntervalSchema,
  metadataSchema,
  weightSchema,
} from './membrane.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';

export const leaseTokenSchema = z
  .string()
  .regex(
    new RegExp(`^[\\x21-\\x7e]{${LIMITS.minLeaseTokenLength},${LIMITS.maxLeaseTokenLength}}$`),
    `must be ${LIMITS.minLeaseTokenLength} to ${LIMITS.maxLeaseTokenLength} printable ASCII characters without spaces`,
  )
  .meta({ description: 'A secret of the registering process: 128 random bits or more.' });

export const incarnationSchema = z.int().min(0).meta({ description: 'From the registration answer.' });

export const registrationRequestSchema = z
  .object({
    id: membraneIdSchema,
    parent: membraneIdSchema.nullish(),
    endpoint: addressSchema.meta({ description: 'Address of the primary endpoint.' }),
    communication_mode: communicationModeSchema,
    health_check_url: addressSchema.nullish(),
    metadata: metadataSchema.nullish(),
    namespace: namespaceSchema.nullish(),
    instance_id: instanceIdSchema.nullish(),
    endpoints: z
      .array(endpointSchema)
      .max(LIMITS.maxEndpoints)
      .nullish()
      .meta({ description: 'All endpoints. Without them, the primary one alone.' }),
    heartbeat_interval_ms: heartbeatIntervalSchema
      .nullish()
      .meta({ description: "The pace the registrant promises; without it, the registry's default." }),
    weight: weightSchema.nullish(),
    relay: z.boolean().nullish(),
    lease_token: leaseTokenSchema.nullish(),
    attempt: z.int().min(0).nullish().meta({
      description:
        'Counts the registrations of one token. One not above the stored one changes nothing and returns the lease as it is; without it, every registration counts as higher.',
    }),
  })
  .meta({ id: 'RegistrationRequest' });
export type RegistrationRequest = z.infer<typeof registrationRequestSchema>;

export const registrationAnswerSchema = z
  .object({
    success: z.literal(true),
    id: membraneIdSchema,
    namespace: namespaceSchema,
    instance_id: instanceIdSchema,
    parent: membraneIdSchema.nullable().meta({ description: 'Where it stands in the tree.' }),
    incarnation: incarnationSchema,
    lease_token: z.string().nullable().meta({ description: 'The token that was brought.' }),
    heartbeat_interval_ms: z.number(),
    unhealthy_after_ms: z.number(),
    expires_after_ms: z.number(),
    revision: z.number(),
  })
  .meta({ id: 'RegistrationAnswer' });
export type RegistrationAnswer = z.infer<typeof registrationAnswerSchema>;

export const deregistrationRequestSchema = z
  .object({
    id: membraneIdSchema,
    namespace: namespaceSchema.nullish(),
    instance_id: instanceIdSchema.nullish(),
    incarnation: incarnationSchema.nullish(),
    lease_token: leaseTokenSchema.nullish(),
    children: z.enum(['keep', 'cascade']).nullish().meta({
      description:
        '`keep` (default): children stay, detached. `cascade`: the whole subtree goes along with the last instance of the id; 409 `conflict` where that is more than 1,000 registrations.',
    }),
    force: z
      .boolean()
      .nullish()
      .meta({ description: "Removes another's lease; its holder then gets 410 `removed`." }),
  })
  .meta({ id: 'DeregistrationRequest' });
export type DeregistrationRequest = z.infer<typeof deregistrationRequestSchema>;

export const deregistrationAnswerSchema = z
  .object({ success: z.literal(true), revision: z.number() })
  .meta({ id: 'DeregistrationAnswer' });
export type DeregistrationAnswer = z.infer<typeof deregistrationAnswerSchema>;
