import * as z from 'zod';
import { findMetadataFault, type JsonObject } from './json.js';
import { LIMITS } from './limits.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';

export const communicationModeSchema = z
  .enum(['shared-volume', 'network', 'ipc'])
  .meta({ description: 'How messages reach the membrane.' });
export type CommunicationMode = z.infer<typeof communicationModeSchema>;

export const membraneStatusSchema = z.enum(['active', 'unhealthy', 'draining']).meta({
  description:
    '`active`: renews in time. `unhealthy`: silent for 2 intervals, or its health check fails. `draining`: alive, wants nothing new.',
});
export type MembraneStatus = z.infer<typeof membraneStatusSchema>;

export const addressSchema = z
  .string()
  .min(1, 'must not be empty')
  .max(LIMITS.maxAddressLength, `must be at most ${LIMITS.maxAddressLength} characters`)
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not have control characters');

export const endpointSchema = z
  .object({
    mode: communicationModeSchema,
    address: addressSchema.meta({
      description: '`network`: a URL. `ipc`: a socket path. `shared-volume`: a directory.',
    }),
    realm: z.string().min(1).max(LIMITS.maxNameLength).nullish().meta({
      description: 'Two membranes can use a mode only where they share its realm.',
    }),
  })
  .meta({ id: 'Endpoint' });

export const metadataSchema: z.ZodType<JsonObject> = z
  .any()
  .check((context) => {
    const fault = findMetadataFault(context.value);
    if (fault !== undefined) context.issues.push({ code: 'custom', message: fault, input: context.value });
  })
  .meta({
    description: `Any JSON object of at most ${LIMITS.maxMetadataBytes} bytes, without a key \`__proto__\`.`,
    type: 'object',
    additionalProperties: true,
  });

export const heartbeatIntervalSchema = z
  .int()
  .min(LIMITS.minHeartbeatIntervalMs)
  .max(LIMITS.maxHeartbeatIntervalMs)
  .meta({ description: 'Milliseconds between two renewals. Unhealthy after 2 of them, removed after 5.' });

export const weightSchema = z
  .number()
  .min(0)
  .max(1_000)
  .meta({ description: 'Share of the load among replicas.' });

/** What the registry tells about one instance of a membrane. */
export const membraneRecordSchema = z
  .object({
    id: membraneIdSchema,
    namespace: namespaceSchema,
    instance_id: instanceIdSchema,
    parent: membraneIdSchema.nullable(),
    endpoint: z.string().meta({ description: 'Address of the primary endpoint.' }),
    communication_mode: communicationModeSchema,
    endpoints: z.array(endpointSchema),
    health_check_url: z.string().nullable(),
    metadata: metadataSchema,
    registered_at: z.number().meta({ description: 'Epoch seconds of the registration.' }),
    last_heartbeat: z.number().meta({
      description: 'Epoch seconds of the last renewal; after a restart, of the term the registry gave.',
    }),
    status: membraneStatusSchema,
    detached: z.boolean().meta({ description: 'True while the parent it names is not registered.' }),
    incarnation: z.number().meta({ description: 'Revision of the registration: higher is newer.' }),
    revision: z.number().meta({ description: 'Revision of the last change.' }),
    weight: z.number(),
    relay: z.boolean(),
    heartbeat_interval_ms: z.number(),
    drain: z
      .object({
        reason: z.string().nullable(),
        since: z.number().meta({ description: 'Epoch seconds.' }),
      })
      .optional()
      .meta({ description: 'Absent unless an operator drains the instance, also while it is `unhealthy`.' }),
    failing_check: z
      .object({
        reason: z.string().meta({ description: 'What the check came to when it began to fail.' }),
        since: z.number().meta({ description: 'Epoch seconds.' }),
      })
      .optional()
      .meta({ description: 'Absent unless the registry probes `health_check_url` and that fails.' }),
  })
  .meta({ id: 'Membrane', description: 'One instance of a membrane.' });
export type MembraneRecord = z.infer<typeof membraneRecordSchema>;

export const discoveredMembraneSchema = membraneRecordSchema
  .extend({
    instances: z.array(membraneRecordSchema).meta({
      description: 'Every instance of the id, the primary (whose fields stand above) first.',
    }),
  })
  .meta({ id: 'DiscoveredMembrane' });
export type DiscoveredMembrane = z.infer<typeof discoveredMembraneSchema>;
