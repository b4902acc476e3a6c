import { messageKey, type Envelope } from '@membrane/protocol';

/** Beside its text a message costs memory: so much of it, by measure, counts against the quotas. */
export const MAIL_OVERHEAD_BYTES = 512;
/** How long a dead letter is kept. */
export const DEAD_LETTER_RETENTION_MS = 7 * 24 * 60 * 60 * 1_000;
/** How many of them, of one membrane. */
export const MAX_DEAD_LETTERS = 1_000;
/** How long a message waits that names no limit. */
export const DEFAULT_MESSAGE_TTL_MS = 60 * 60 * 1_000;

/** A message in a mailbox. Immutable: what changes (who has it just now) is kept elsewhere. */
export interface Mail {
  readonly namespace: string;
  /** The membrane that it is for. */
  readonly id: string;
  /** Unique within the registry, and the order of the box. */
  readonly sequence: number;
  readonly messageId: string;
  /** Of `messageKey`: foreign senders may use an id more than once. */
  readonly key: string;
  /** The envelope as JSON, less `attempt` and `ttl_ms`: those are written when it is handed out. */
  readonly text: string;
  readonly attempt: number;
  /** What it counts against the quotas. */
  readonly bytes: number;
  /** Wall clock, epoch milliseconds. */
  readonly deadlineMs: number;
  /** The instance that it was meant for. */
  readonly instanceId: string | undefined;
  /** The stream within whose messages order is kept; undefined for one of no stream. */
  readonly streamKey: string | undefined;
}

export interface DeadLetter {
  readonly mail: Mail;
  /** `expired` or `handler_failed`. */
  readonly code: string;
  readonly reason: string;
  /** Wall clock, epoch milliseconds. */
  readonly diedAtMs: number;
}

/** What one command does to one box. */
export interface MailChange {
  readonly namespace: string;
  readonly id: string;
  /** Dead letters that go, for good or to be posted again. */
  readonly dropped: readonly DeadLetter[];
  /** Messages that go. */
  readonly removed: readonly Mail[];
  /** Messages that become dead letters. */
  readonly buried: readonly DeadLetter[];
  readonly posted: readonly Mail[];
}

/** A change of nothing, for those who change one thing. */
export const NO_MAIL: Pick<MailChange, 'dropped' | 'removed' | 'buried' | 'posted'> = Object.freeze({
  dropped: [],
  removed: [],
  buried: [],
  posted: [],
});

/** As much of a map as decisions read; it goes through its entries from the oldest to the youngest. */
export interface OrderedView<Key, Value> {
  readonly size: number;
  get(key: Key): Value | undefined;
  has(key: Key): boolean;
  values(): Iterable<Value>;
}

/** One mailbox. Both maps have the `key` of the message as theirs, and none is in both. */
export interface MailboxView {
  /** In the order of posting. */
  readonly waiting: OrderedView<string, Mail>;
  /** In the order of death. */
  readonly dead: OrderedView<string, DeadLetter>;
  readonly waitingBytes: number;
  readonly deadBytes: number;
}

/** All mailboxes, as a decision sees them. */
export interface MailView {
  /** Undefined where nothing is in it. */
  box(namespace: string, id: string): MailboxView | undefined;
  /** True where a message of this key was in the box and went, not long ago. */
  wasThere(namespace: string, id: string, key: string): boolean;
  /** Of the youngest message; 0 where there was none. */
  readonly lastSequence: number;
  /** What all boxes hold, dead letters included. */
  readonly bytes: number;
}

export const mailboxKey = (namespace: string, id: string): string => `${namespace}/${id}`;

/** A message for a box, apart from its place there. `text` is that of `toMailText`. */
export function toMail(
  { namespace, id }: { namespace: string; id: string },
  envelope: Envelope & { id: string },
  { text, bytes }: { text: string; bytes: number },
  { sequence, deadlineMs }: { sequence: number; deadlineMs: number },
): Mail {
  const { stream, session, sender } = envelope;
  return {
    namespace,
    id,
    sequence,
    messageId: envelope.id,
    key: messageKey(envelope),
    text,
    attempt: envelope.attempt ?? 1,
    bytes,
    deadlineMs,
    instanceId: envelope.instance_id ?? undefined,
    // No name has a control character in it.
    streamKey: stream == null ? undefined : `${session ?? sender}\n${stream}`,
  };
}

/** The text that is kept of an envelope. */
export function toMailText({ attempt: _attempt, ttl_ms: _ttl, ...kept }: Envelope): string {
  return JSON.stringify(kept);
}

/** The envelope of a message as JSON, with what depends on the hand-over. */
export function toEnvelopeText({ text }: Mail, attempt: number, ttlMs: number | undefined): string {
  const ttl = ttlMs === undefined ? '' : `,"ttl_ms":${ttlMs}`;
  return `${text.slice(0, -1)},"attempt":${attempt}${ttl}}`;
}
