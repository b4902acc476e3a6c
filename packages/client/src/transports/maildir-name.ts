import { createHash } from 'node:crypto';
import { messageKey } from '@membrane/protocol';
import type { KnownEnvelope } from '../messaging/message.js';

/** UUIDs of version 7 sort by the time at which they were made, and those of this SDK in the order too. */
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const HASH_CHARACTERS = 24;

/** A claimed file has the claimant behind this; it is in no name that a sender of this SDK gives. */
const CLAIM_MARK = '~';
const CLAIMED = /^(.+)~([0-9a-f]{16})$/s;
const LOSSES = /^(.+),(\d{1,3})$/s;
const MAX_LOSSES = 999;
/** File systems allow 255; a claim and a count need room. */
const MAX_NAME_BYTES = 200;
const KEPT_CHARACTERS = 40;

/**
 * The file of a message: a function of the message alone, so that one which is delivered again takes the place of the
 * first, and sorted by when the message was made.
 */
export function messageFileName(envelope: KnownEnvelope): string {
  const { id, timestamp } = envelope;
  if (UUID_V7.test(id)) return `${id}.json`;
  const time = timePrefix(timestamp == null ? Date.now() : timestamp * 1_000);
  return `${time}-x${hash(messageKey(envelope))}.json`;
}

/** A time as UUIDs of version 7 begin, to sort among them. */
export function timePrefix(epochMs: number): string {
  const hex = Math.min(Math.max(Math.floor(epochMs), 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

export interface WaitingName {
  /** Stays the same whatever becomes of the message. */
  readonly base: string;
  /** How many consumers were lost with the message in their hands. */
  readonly losses: number;
}

export function parseWaitingName(name: string): WaitingName {
  const [, base, losses] = LOSSES.exec(name) ?? [];
  return base === undefined ? { base: name, losses: 0 } : { base, losses: Number(losses) };
}

/** The name under which a message waits again after one more consumer was lost with it. */
export function afterLoss(name: string): string {
  const { base, losses } = parseWaitingName(name);
  return `${base},${Math.min(losses + 1, MAX_LOSSES)}`;
}

export function claimedName(name: string, claimant: string): string {
  return `${boundedName(name)}${CLAIM_MARK}${claimant}`;
}

/** Undefined for what was not claimed by this SDK. */
export function parseClaimedName(name: string): { name: string; claimant: string } | undefined {
  const [, waiting, claimant] = CLAIMED.exec(name) ?? [];
  return waiting === undefined || claimant === undefined ? undefined : { name: waiting, claimant };
}

/** A name that leaves room for what is added to it; a longer one keeps its beginning, by which it sorts. */
export function boundedName(name: string): string {
  if (name.length <= MAX_NAME_BYTES && Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  return `${name.slice(0, KEPT_CHARACTERS)}-${hash(name)}.json`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS);
}
