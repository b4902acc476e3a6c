import * as z from 'zod';
import { membraneRecordSchema } from './membrane.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';

export const eventTypeSchema = z.enum([
  'registered',
  'updated',
  'unhealthy',
  'recovered',
  'draining',
  'moved',
  'dissolved',
  'deregistered',
  'expired',
  'preservation_started',
  'preservation_ended',
]);
export type EventType = z.infer<typeof eventTypeSchema>;

const placeSchema = z
  .object({ ancestors: z.array(membraneIdSchema) })
  .meta({ description: 'Ancestors, the parent first.' });

const heritageSchema = placeSchema.extend({
  heir: membraneIdSchema.nullish().meta({
    description: 'Of `dissolved`: who has the children now; null where they are roots.',
  }),
  heirs: z.record(membraneIdSchema, membraneIdSchema).optional().meta({
    description: 'Of `dissolved` by a division: who has the children that were given away by name.',
  }),
});

/** What self-preservation goes by. */
export const subtreeSilenceSchema = z.object({
  n: z.number().meta({ description: 'Leases in the subtree, those of its top among them.' }),
  s: z.number().meta({ description: 'How many of them are silent.' }),
});

export const membraneEventSchema = z
  .object({
    revision: z.number().meta({ description: 'All events of one change share it.' }),
    event: eventTypeSchema,
    id: membraneIdSchema.or(z.literal('')).meta({
      description:
        'Of `preservation_started` and `preservation_ended` the top of the subtree, or empty: the whole namespace.',
    }),
    namespace: namespaceSchema,
    instance_id: instanceIdSchema,
    timestamp: z.number().meta({ description: 'Epoch seconds.' }),
    record: membraneRecordSchema
      .omit({ last_heartbeat: true, detached: true })
      .optional()
      .meta({ description: 'As the change left it; absent where it removed the instance.' }),
    before: placeSchema.optional(),
    after: heritageSchema.optional().meta({
      description:
        'Of `dissolved`: where the membrane stood, which is now the place of its children and their ancestors.',
    }),
    preservation: subtreeSilenceSchema.optional().meta({
      description: 'Of `preservation_started` and `preservation_ended`: how it was in the subtree then.',
    }),
  })
  .meta({ id: 'MembraneEvent', description: 'One line of the journal.' });
export type MembraneEvent = z.infer<typeof membraneEventSchema>;
