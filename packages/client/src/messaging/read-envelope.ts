import { envelopeSchema, LIMITS, validate, type Envelope } from '@membrane/protocol';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const NO_CONTROL_CHARACTERS = /^[^\u0000-\u001f\u007f]*$/;
const MAX_TRACEPARENT_LENGTH = 256;
const KNOWN_FIELDS: ReadonlySet<string> = new Set(Object.keys(envelopeSchema.shape));

/**
 * An envelope that came from outside. Looked through by hand, since the schema takes longer than all the rest of a
 * delivery; what does not pass here goes through the schema, whose word counts and which says what is wrong. Fields that
 * nobody knows are dropped: nobody measured them either.
 * @throws MembraneError `invalid_request` that names the fields.
 */
export function readEnvelope(value: unknown): Envelope {
  if (looksLikeEnvelope(value)) return withoutUnknown(value);
  return validate(envelopeSchema, value, 'message');
}

/** A copy only where there is something to drop. */
function withoutUnknown(envelope: Envelope): Envelope {
  for (const field in envelope) {
    if (KNOWN_FIELDS.has(field)) continue;
    return Object.fromEntries(
      Object.entries(envelope).filter(([name]) => KNOWN_FIELDS.has(name)),
    ) as Envelope;
  }
  return envelope;
}

function looksLikeEnvelope(value: unknown): value is Envelope {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const envelope = value as Record<keyof Envelope, unknown>;
  return (
    isName(envelope.sender, LIMITS.maxIdLength) &&
    envelope.payload !== undefined &&
    !nestsDeeper(envelope.payload, LIMITS.maxJsonDepth) &&
    (isAbsent(envelope.id) || isName(envelope.id, LIMITS.maxMessageNameLength)) &&
    (isAbsent(envelope.target) || isName(envelope.target, LIMITS.maxIdLength)) &&
    (isAbsent(envelope.namespace) || isName(envelope.namespace, LIMITS.maxNameLength)) &&
    (isAbsent(envelope.session) || isLabel(envelope.session)) &&
    isAbsentOrCount(envelope.sequence, 1) &&
    isAbsentOrCount(envelope.attempt, 1) &&
    (isAbsent(envelope.ttl_ms) || isTtl(envelope.ttl_ms)) &&
    (isAbsent(envelope.timestamp) || Number.isFinite(envelope.timestamp)) &&
    (isAbsent(envelope.instance_id) || isName(envelope.instance_id, LIMITS.maxNameLength)) &&
    isAbsentOrCount(envelope.incarnation, 0) &&
    (isAbsent(envelope.type) || isLabel(envelope.type)) &&
    (isAbsent(envelope.stream) || isLabel(envelope.stream)) &&
    isAbsentOrCount(envelope.floor, 1) &&
    (isAbsent(envelope.reply_to) || isName(envelope.reply_to, LIMITS.maxIdLength)) &&
    (isAbsent(envelope.reply_to_instance) || isName(envelope.reply_to_instance, LIMITS.maxNameLength)) &&
    (isAbsent(envelope.correlation_id) || isName(envelope.correlation_id, LIMITS.maxMessageNameLength)) &&
    (isAbsent(envelope.path) || isPath(envelope.path)) &&
    (isAbsent(envelope.traceparent) || isShortText(envelope.traceparent, MAX_TRACEPARENT_LENGTH))
  );
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function isShortText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength;
}

function isName(value: unknown, maxLength: number): boolean {
  return isShortText(value, maxLength) && NAME.test(value);
}

function isLabel(value: unknown): boolean {
  return isShortText(value, LIMITS.maxMessageNameLength) && value !== '' && NO_CONTROL_CHARACTERS.test(value);
}

function isAbsentOrCount(value: unknown, min: number): boolean {
  return value === undefined || value === null || (Number.isSafeInteger(value) && (value as number) >= min);
}

function isTtl(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= LIMITS.maxMessageTtlMs;
}

function isPath(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= LIMITS.maxHops &&
    value.every((id) => isName(id, LIMITS.maxIdLength))
  );
}

/** The levels bound the recursion. */
function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (nestsDeeper(item, levels - 1)) return true;
    return false;
  }
  for (const key in value) if (nestsDeeper((value as Record<string, unknown>)[key], levels - 1)) return true;
  return false;
}
