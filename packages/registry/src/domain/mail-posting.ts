import { MembraneError, type Envelope } from '@membrane/protocol';
import type { Decision } from './change.js';
import { NO_MAIL, toMail, toMailText, type MailboxView, type MailView } from './mail.js';
import { isKnownMail, mailHeirOf, readdress } from './mail-heir.js';
import type { StateView } from './state-view.js';
import { absentError } from './tombstone.js';

/** How long a sender should wait when there is no room: receivers that are away come back in seconds, or not. */
const FULL_RETRY_AFTER_MS = 5_000;

/** What mailboxes may hold. Every message counts as its envelope and a little more. */
export interface MailQuotas {
  /** Of one membrane. Dead letters have the same room of bytes once more. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Of all membranes together, dead letters included. */
  readonly maxTotalBytes: number;
}

export interface PostCommand {
  readonly namespace: string;
  readonly id: string;
  readonly envelope: Envelope & { id: string };
  /** Of `toMailText`. */
  readonly text: string;
  readonly bytes: number;
  /** Wall clock, epoch milliseconds. */
  readonly deadlineMs: number;
}

/**
 * Puts a message at the end of a box. One whose key is or was there changes nothing. One for a membrane that was
 * dissolved goes to its heir, behind those that still wait to be moved there.
 */
export function decidePost(
  view: StateView,
  command: PostCommand,
  quotas: MailQuotas,
  nowMs: number,
): Decision<undefined> {
  const { namespace, id, envelope, text, bytes, deadlineMs } = command;
  const { mail: mailView } = view;
  const node = view.node(namespace, id);
  const heir = node?.tombstone == null ? id : mailHeirOf(view, namespace, id);
  if (node === undefined || heir === null) {
    return { kind: 'refused', error: absentError(node, namespace, id) };
  }
  const box = mailView.box(namespace, id);
  const place = { sequence: mailView.lastSequence + 1, deadlineMs };
  const mail = toMail({ namespace, id }, envelope, { text, bytes }, place);
  if (isKnownMail(mailView, namespace, id, mail.key)) return { kind: 'unchanged', outcome: undefined };
  if (heir !== id && (box?.waiting.size ?? 0) === 0) {
    const inherited = readdress(envelope, heir);
    const rest = { id: heir, envelope: inherited, text: toMailText(inherited) };
    return decidePost(view, { ...command, ...rest }, quotas, nowMs);
  }
  const fault = findQuotaFault(mailView, box, id, { messages: 1, bytes, addedBytes: bytes }, quotas);
  if (fault !== undefined) return { kind: 'refused', error: fault };
  return {
    kind: 'changed',
    outcome: undefined,
    change: { atMs: nowMs, nodes: [], events: [], mail: [{ ...NO_MAIL, namespace, id, posted: [mail] }] },
  };
}

export function toUnknownError(namespace: string, id: string): MembraneError {
  return new MembraneError('not_found', `no membrane "${id}" in namespace "${namespace}"`);
}

/** Why a box has no room for more messages. `addedBytes`: by how much all boxes together would grow. */
export function findQuotaFault(
  mail: MailView,
  box: MailboxView | undefined,
  id: string,
  more: { messages: number; bytes: number; addedBytes: number },
  { maxMessages, maxBytes, maxTotalBytes }: MailQuotas,
): MembraneError | undefined {
  const messages = (box?.waiting.size ?? 0) + more.messages;
  const bytes = (box?.waitingBytes ?? 0) + more.bytes;
  const fault =
    messages > maxMessages
      ? `the mailbox of "${id}" holds at most ${maxMessages} messages`
      : bytes > maxBytes
        ? `the mailbox of "${id}" holds at most ${maxBytes} bytes`
        : mail.bytes + more.addedBytes > maxTotalBytes
          ? `all mailboxes of this registry hold at most ${maxTotalBytes} bytes`
          : undefined;
  if (fault === undefined) return undefined;
  return new MembraneError('mailbox_full', fault, { details: { retryAfterMs: FULL_RETRY_AFTER_MS } });
}
