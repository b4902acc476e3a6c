import { envelopeSchema, LIMITS, type JsonObject, type JsonValue } from '@membrane/protocol';
import type { KnownEnvelope } from './message.js';

/** A message that waits in an outbox. */
export interface OutboxEntry {
  /** With its target. */
  readonly envelope: KnownEnvelope;
  /** Epoch milliseconds: it has to outlive the process. */
  readonly deadlineAtMs: number;
  /** What else its sender wants to know after a restart. */
  readonly options: JsonObject;
}

/** Where an entry stands in the order of sending, and whose it is: the name of its file. */
export interface EntryName {
  readonly order: number;
  readonly messageId: string;
}

const ORDER_DIGITS = 12;

export function toFileName({ order, messageId }: EntryName): string {
  return `${String(order).padStart(ORDER_DIGITS, '0')}-${messageId}.json`;
}

/** Undefined for the name of another file. */
export function parseFileName(name: string): EntryName | undefined {
  const [, order, messageId] = FILE_NAME.exec(name) ?? [];
  return order === undefined || messageId === undefined ? undefined : { order: Number(order), messageId };
}

const FILE_NAME = new RegExp(
  `^(\\d{${ORDER_DIGITS}})-([A-Za-z0-9][A-Za-z0-9._:-]{0,${LIMITS.maxMessageNameLength - 1}})\\.json$`,
);

export function serializeEntry({ envelope, deadlineAtMs, options }: OutboxEntry): string {
  return JSON.stringify({ deadline_at_ms: deadlineAtMs, options, envelope });
}

/** @throws Error that says what is wrong with it. */
export function parseEntry(content: string): OutboxEntry {
  const value = JSON.parse(content) as JsonValue;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is no object');
  const { deadline_at_ms: deadlineAtMs, options, envelope } = value;
  if (typeof deadlineAtMs !== 'number') throw new Error('it has no deadline');
  const parsed = envelopeSchema.safeParse(envelope);
  if (!parsed.success) throw new Error(`its envelope is broken: ${parsed.error.issues[0]?.message ?? ''}`);
  const { id } = parsed.data;
  if (typeof id !== 'string') throw new Error('its envelope has no id');
  const isObject = typeof options === 'object' && options !== null && !Array.isArray(options);
  return { envelope: { ...parsed.data, id }, deadlineAtMs, options: isObject ? options : {} };
}
