import * as z from 'zod';
import { isDeeperThan, type JsonValue } from './json.js';
import { LIMITS } from './limits.js';
import { instanceIdSchema, membraneIdSchema, namespaceSchema } from './names.js';

const messageName = z
  .string()
  .min(1, 'must not be empty')
  .max(LIMITS.maxMessageNameLength, `must be at most ${LIMITS.maxMessageNameLength} characters`)
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not have control characters');

export const messageIdSchema = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,${LIMITS.maxMessageNameLength - 1}}$`),
    `must be 1 to ${LIMITS.maxMessageNameLength} letters, digits, ".", "_", ":" or "-"`,
  )
  .meta({ description: 'A UUID of version 7 (RFC 9562) where a Membrane client made it.' });

export const payloadSchema: z.ZodType<JsonValue> = z
  .any()
  .check((context) => {
    if (context.value === undefined) {
      context.issues.push({ code: 'custom', message: 'must be given', input: context.value });
    } else if (isDeeperThan(context.value, LIMITS.maxJsonDepth)) {
      const message = `must nest at most ${LIMITS.maxJsonDepth} levels`;
      context.issues.push({ code: 'custom', message, input: 'a value' });
    }
  })
  .meta({ description: 'Any JSON.' });

/**
 * A message on its way. Only `sender` and `payload` are required of foreign senders; whoever takes one in without an
 * `id` gives it one.
 */
export const envelopeSchema = z
  .object({
    id: messageIdSchema.nullish(),
    sender: membraneIdSchema,
    target: membraneIdSchema.nullish().meta({ description: 'Whom it is for; without it, whoever gets it.' }),
    instance_id: instanceIdSchema.nullish().meta({ description: 'The instance that was chosen.' }),
    namespace: namespaceSchema.nullish(),
    timestamp: z.number().nullish().meta({ description: 'Epoch seconds by the clock of the sender.' }),
    payload: payloadSchema,
    type: messageName.nullish().meta({ description: 'By which handlers choose.' }),
    session: messageName.nullish().meta({ description: 'The run of the sending process.' }),
    stream: messageName.nullish().meta({ description: 'Messages of one stream are handled in order.' }),
    sequence: z.int().min(1).nullish().meta({
      description: 'Counts the messages of a session to a target, within a stream or without one.',
    }),
    floor: z.int().min(1).nullish().meta({
      description:
        'The lowest sequence of the stream that may still come by this or another way; for those below it nobody need wait.',
    }),
    ttl_ms: z.number().min(0).max(LIMITS.maxMessageTtlMs).nullish().meta({
      description: 'Milliseconds left when it was sent on.',
    }),
    reply_to: membraneIdSchema.nullish().meta({ description: 'Who wants the reply.' }),
    reply_to_instance: instanceIdSchema
      .nullish()
      .meta({ description: 'The instance of it that waits for the reply.' }),
    correlation_id: messageIdSchema.nullish().meta({ description: 'The message that this one answers.' }),
    incarnation: z.int().min(0).nullish().meta({ description: 'The registration that the sender means.' }),
    attempt: z.int().min(1).nullish().meta({ description: 'Above 1 where it may have arrived before.' }),
    path: z.array(membraneIdSchema).max(LIMITS.maxHops).nullish().meta({ description: 'Relays passed.' }),
    traceparent: z.string().max(256).nullish().meta({ description: 'W3C Trace Context.' }),
  })
  .meta({ id: 'Envelope' });
/** As it stands on the wire. */
export type Envelope = z.infer<typeof envelopeSchema>;

/** From weak to strong: kept durably on the way; in the receiver's memory; its handler has returned. */
export const deliveryOutcomeSchema = z.enum(['queued', 'accepted', 'processed']);
export type DeliveryOutcome = z.infer<typeof deliveryOutcomeSchema>;

/** What `POST {endpoint}/message` answers. */
export const messageAnswerSchema = z
  .object({
    success: z.literal(true),
    message_id: messageIdSchema,
    outcome: deliveryOutcomeSchema,
    reply: z.any().optional().meta({ description: 'What the handler returned.' }),
  })
  .meta({ id: 'MessageAnswer' });
export type MessageAnswer = z.infer<typeof messageAnswerSchema>;

/** Below the address of an endpoint. */
export const MESSAGE_PATH = '/message';
export const MESSAGES_PATH = '/messages';
export const MESSAGE_SUBPROTOCOL = 'membrane.v1';

/** What a sender says on a WebSocket: a message, or that one of a stream will never come. */
export type SenderFrame = { m: Envelope } | { skip: { session: string; stream: string; sequence: number } };

/**
 * What a receiver says on a WebSocket: how many messages may be under way; what became of one (`r`: the reply); why
 * one was refused, or failed (`c`: an error code, `d`: detail, `t`: milliseconds to wait before the next try).
 */
export type ReceiverFrame =
  | { w: number }
  | { a: string; o: DeliveryOutcome; r?: JsonValue }
  | { e: string; c: string; d: string; t?: number };
