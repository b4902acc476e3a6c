import type { Envelope } from '@membrane/protocol';
import type { HandedMail } from '../../src/domain/hand-outs.js';
import { toEnvelopeText } from '../../src/domain/mail.js';
import type { RegistryCore } from './registry-core.js';

export function envelope(id: string, rest: Partial<Envelope> = {}): Envelope {
  return { id, sender: 'sender', payload: id, ...rest };
}

export interface CollectOptions {
  readonly id?: string;
  readonly instanceId?: string;
  readonly token?: string;
  readonly max?: number;
}

/** What a collector gets at once. */
export function collect(
  core: RegistryCore,
  { id = 'oven', instanceId, token, max }: CollectOptions = {},
): Promise<readonly HandedMail[]> {
  const query = {
    ...(instanceId === undefined ? {} : { instance_id: instanceId }),
    ...(max === undefined ? {} : { max }),
  };
  return core.mailbox.collect(id, query, token, new AbortController().signal);
}

export function idsOf(items: readonly HandedMail[]): string[] {
  return items.map(({ mail }) => mail.messageId);
}

/** The envelope as it would be sent. */
export function toEnvelope({ mail, attempt, ttlMs }: HandedMail): Envelope {
  return JSON.parse(toEnvelopeText(mail, attempt, ttlMs)) as Envelope;
}

export function ack(
  core: RegistryCore,
  items: readonly HandedMail[],
  outcome: 'processed' | 'failed' | 'released' | 'in_progress' = 'processed',
  rest: { reason?: string; lease_token?: string } = {},
): Promise<{ unknown: string[] }> {
  const { reason, ...more } = rest;
  const acks = items.map(({ receipt }) => ({
    receipt,
    outcome,
    ...(reason === undefined ? {} : { reason }),
  }));
  return core.mailbox.ack(items[0]?.mail.id ?? 'oven', { acks, ...more });
}

export function deadIds(core: RegistryCore, id = 'oven'): string[] {
  return core.mailbox.deadLetters(id, { limit: 1_000 }).map(({ mail }) => mail.messageId);
}
