import * as z from 'zod';
import { subtreeSilenceSchema } from './events.js';

export const statusCountsSchema = z.object({
  active: z.number(),
  unhealthy: z.number(),
  draining: z.number(),
});
export type StatusCounts = z.infer<typeof statusCountsSchema>;

const preservedSubtreeSchema = subtreeSilenceSchema
  .extend({
    namespace: z.string(),
    subtree: z.string().meta({ description: 'An id, with everything below it. Empty: the whole namespace.' }),
    held: z.number().meta({ description: 'Leases that would be gone by now, and are kept.' }),
    since: z.number().meta({ description: 'Epoch seconds.' }),
  })
  .meta({ id: 'PreservedSubtree' });
export type PreservedSubtree = z.infer<typeof preservedSubtreeSchema>;

export const registryStatusSchema = z
  .object({
    registry_id: z.string().meta({ description: 'Made once, kept with the data.' }),
    version: z.string(),
    membrane_count: z.number().meta({ description: 'Live instances in all namespaces.' }),
    peer_count: z.number().meta({ description: 'Other registries that serve the same namespaces.' }),
    uptime: z.number().meta({ description: 'Seconds.' }),
    revision: z.number(),
    counts: statusCountsSchema.meta({ description: 'Live instances by status.' }),
    namespaces: z.record(z.string(), statusCountsSchema),
    store: z.object({
      kind: z.string().meta({ description: '`memory`, `sqlite` or `keyv`.' }),
      location: z.string().nullable(),
      writable: z.boolean().meta({ description: 'False while changes fail: no lease is ended meanwhile.' }),
    }),
    mailbox: z
      .object({
        messages: z.number().meta({ description: 'Waiting, of all membranes.' }),
        bytes: z.number().meta({ description: 'What all mailboxes hold, dead letters included.' }),
        dead_letters: z.number(),
      })
      .optional()
      .meta({ description: 'Absent where the registry keeps no messages.' }),
    watch: z
      .object({
        streams: z.number().meta({ description: 'Connections of `GET /watch`.' }),
        blocking_reads: z.number().meta({ description: 'Reads that wait for a change.' }),
      })
      .optional(),
    health_checks: z
      .object({
        checked: z.number().meta({ description: 'Instances whose `health_check_url` is probed.' }),
        failing: z.number().meta({ description: 'Of these, unhealthy for it.' }),
        refused: z.number().meta({ description: 'Whose URL leads where the registry may not connect.' }),
      })
      .optional()
      .meta({ description: 'Absent where the registry probes nobody.' }),
    recovering: z.boolean().meta({ description: 'True while leases run their first term after a restart.' }),
    preservation: z.array(preservedSubtreeSchema).optional().meta({
      description:
        'Subtrees most of which are silent, so that nobody there is removed for now: the largest 1,000, those with most leases first. Absent where self-preservation is switched off.',
    }),
  })
  .meta({ id: 'RegistryStatus' });
export type RegistryStatus = z.infer<typeof registryStatusSchema>;

export const healthSchema = z.object({ status: z.string() }).meta({ id: 'Health' });
