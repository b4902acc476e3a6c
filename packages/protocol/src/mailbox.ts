import * as z from 'zod';
import { LIMITS } from './limits.js';
import { envelopeSchema, messageIdSchema } from './message.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';
import { countSchema, waitSchema } from './numbers.js';
import { leaseTokenSchema } from './registration.js';

/** The registry's mailbox: what no route could hand over waits there until the receiver collects it. */

export const mailboxParamsSchema = z.object({ id: membraneIdSchema });

export const mailboxPostAnswerSchema = z
  .object({ success: z.literal(true), message_id: messageIdSchema, queued: z.literal(true) })
  .meta({ id: 'MailboxPostAnswer' });
export type MailboxPostAnswer = z.infer<typeof mailboxPostAnswerSchema>;

export const mailboxPostQuerySchema = z.object({ namespace: namespaceSchema.optional() });

export const mailboxCollectQuerySchema = z.object({
  namespace: namespaceSchema.optional(),
  instance_id: instanceIdSchema.optional().meta({ description: 'Which instance collects.' }),
  wait_ms: waitSchema.optional().meta({ description: 'How long to wait for a message where there is none.' }),
  max: countSchema(LIMITS.maxMailboxBatch)
    .optional()
    .meta({ description: 'Messages at most; 100 unless given.' }),
});
export type MailboxCollectQuery = z.infer<typeof mailboxCollectQuerySchema>;

export const mailboxItemSchema = z
  .object({
    receipt: z
      .string()
      .meta({ description: 'Names this hand-over in an ack, within 30 s or as often as it is in progress.' }),
    envelope: envelopeSchema,
  })
  .meta({ id: 'MailboxItem' });
export type MailboxItem = z.infer<typeof mailboxItemSchema>;

export const mailboxAckRequestSchema = z
  .object({
    namespace: namespaceSchema.nullish(),
    acks: z
      .array(
        z.object({
          receipt: z.string().min(1).max(LIMITS.maxMessageNameLength),
          outcome: z.enum(['processed', 'failed', 'released', 'in_progress']).meta({
            description:
              'Handled; a dead letter from now on; not handled, and there for others at once; hidden from others for another 30 s.',
          }),
          reason: z
            .string()
            .max(LIMITS.maxReasonLength)
            .nullish()
            .meta({ description: 'Kept with the dead letter.' }),
        }),
      )
      .max(LIMITS.maxMailboxBatch),
    lease_token: leaseTokenSchema.nullish(),
  })
  .meta({ id: 'MailboxAckRequest' });
export type MailboxAckRequest = z.infer<typeof mailboxAckRequestSchema>;

export const mailboxAckAnswerSchema = z
  .object({
    success: z.literal(true),
    unknown: z
      .array(z.string())
      .meta({ description: 'Receipts that are void: the messages are handed out again, or gone.' }),
  })
  .meta({ id: 'MailboxAckAnswer' });
export type MailboxAckAnswer = z.infer<typeof mailboxAckAnswerSchema>;

export const deadLetterSchema = z
  .object({
    message_id: messageIdSchema,
    died_at: z.number().meta({ description: 'Epoch seconds.' }),
    code: z.string().meta({ description: '`expired`, `handler_failed`, or what the receiver said.' }),
    reason: z.string(),
    envelope: envelopeSchema,
  })
  .meta({ id: 'DeadLetter' });
export type DeadLetter = z.infer<typeof deadLetterSchema>;

export const deadLettersQuerySchema = z.object({
  namespace: namespaceSchema.optional(),
  limit: countSchema(LIMITS.maxMailboxBatch)
    .optional()
    .meta({ description: 'The oldest so many; 100 unless given.' }),
});
export type DeadLettersQuery = z.infer<typeof deadLettersQuerySchema>;

export const deadLettersRequestSchema = z
  .object({
    namespace: namespaceSchema.nullish(),
    action: z.enum(['requeue', 'discard']).meta({ description: 'Back into the mailbox, or away for good.' }),
    message_ids: z
      .array(messageIdSchema)
      .max(LIMITS.maxMailboxBatch)
      .nullish()
      .meta({ description: 'Without it, all.' }),
    ttl_ms: z.int().min(1).max(LIMITS.maxMessageTtlMs).nullish().meta({
      description: 'The new time limit of those put back; without it, an hour.',
    }),
  })
  .meta({ id: 'DeadLettersRequest' });
export type DeadLettersRequest = z.infer<typeof deadLettersRequestSchema>;

export const deadLettersAnswerSchema = z
  .object({
    success: z.literal(true),
    changed: z.number().meta({ description: 'Letters put back or discarded.' }),
    unknown: z.array(z.string()).meta({ description: 'Ids that are no dead letters here.' }),
  })
  .meta({ id: 'DeadLettersAnswer' });
export type DeadLettersAnswer = z.infer<typeof deadLettersAnswerSchema>;
