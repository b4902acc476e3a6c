import type { JsonValue } from '@membrane/protocol';
import type { EventDraft } from './change.js';
import type { Instance } from './membrane-node.js';

/** What the objects of an event, and of an instance, take beside their texts. */
const EVENT_BYTES = 256;
const INSTANCE_BYTES = 512;
const VALUE_BYTES = 16;

/**
 * About what an event takes in memory. Its instance counts in full, though the directory may hold the same one: once
 * it is replaced there, the log alone keeps it.
 */
export function estimateEventBytes({ instance, before = [], after = [] }: EventDraft): number {
  const places = (before.length + after.length) * VALUE_BYTES;
  return EVENT_BYTES + places + (instance === undefined ? 0 : instanceBytes(instance));
}

function instanceBytes({ endpoint, endpoints, healthCheckUrl, metadata }: Instance): number {
  let bytes = INSTANCE_BYTES + endpoint.length + (healthCheckUrl?.length ?? 0);
  for (const { address } of endpoints ?? []) bytes += VALUE_BYTES + address.length;
  return bytes + jsonBytes(metadata);
}

function jsonBytes(value: JsonValue): number {
  if (typeof value === 'string') return VALUE_BYTES + value.length;
  if (typeof value !== 'object' || value === null) return VALUE_BYTES;
  let bytes = VALUE_BYTES;
  if (Array.isArray(value)) {
    for (const item of value) bytes += jsonBytes(item);
  } else {
    for (const [key, item] of Object.entries(value)) bytes += VALUE_BYTES + key.length + jsonBytes(item);
  }
  return bytes;
}
