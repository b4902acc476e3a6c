import { z } from 'zod';
import { membraneRecordSchema } from './membrane.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';

export const eventTypeSchema = z.enum([
  'registered',
  'updated',
  'unhealthy',
  'recovered',
  'moved',
  'deregistered',
  'expired',
]);
export type EventType = z.infer<typeof eventTypeSchema>;

const placeSchema = z
  .object({ ancestors: z.array(membraneIdSchema) })
  .meta({ description: 'Ancestors, the parent first.' });

export const membraneEventSchema = z
  .object({
    revision: z.number().meta({ description: 'All events of one change share it.' }),
    event: eventTypeSchema,
    id: membraneIdSchema,
    namespace: namespaceSchema,
    instance_id: instanceIdSchema,
    timestamp: z.number().meta({ description: 'Epoch seconds.' }),
    record: membraneRecordSchema
      .omit({ last_heartbeat: true, detached: true })
      .optional()
      .meta({ description: 'As the change left it; absent where it removed the instance.' }),
    before: placeSchema.optional(),
    after: placeSchema.optional(),
  })
  .meta({ id: 'MembraneEvent', description: 'One line of the journal.' });
export type MembraneEvent = z.infer<typeof membraneEventSchema>;
