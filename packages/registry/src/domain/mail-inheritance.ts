import type { Envelope } from '@membrane/protocol';
import type { Decision } from './change.js';
import { NO_MAIL, toMail, toMailText, type Mail } from './mail.js';
import { isKnownMail, mailHeirOf, readdress } from './mail-heir.js';
import { findQuotaFault, type MailQuotas } from './mail-posting.js';
import type { StateView } from './state-view.js';

export interface InheritanceCommand {
  readonly namespace: string;
  readonly id: string;
  /** Messages that it may move, and how much they may write together; one may pass that. */
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/**
 * Moves what waits for a dissolved membrane to the end of its heir's box, the oldest first, as far as the limits go
 * and there is room. The outcome: how many were moved.
 */
export function decideInheritance(
  view: StateView,
  { namespace, id, maxMessages, maxBytes }: InheritanceCommand,
  quotas: MailQuotas,
  nowMs: number,
): Decision<number> {
  const box = view.mail.box(namespace, id);
  const heir = mailHeirOf(view, namespace, id);
  if (box === undefined || heir === null || heir === id) return { kind: 'unchanged', outcome: 0 };
  const heirBox = view.mail.box(namespace, heir);
  const removed: Mail[] = [];
  const posted: Mail[] = [];
  let bytes = 0;
  for (const mail of box.waiting.values()) {
    if (removed.length === maxMessages || (bytes > 0 && bytes + mail.bytes > maxBytes)) break;
    if (!isKnownMail(view.mail, namespace, heir, mail.messageId)) {
      const more = { messages: posted.length + 1, bytes: bytes + mail.bytes, addedBytes: 0 };
      if (findQuotaFault(view.mail, heirBox, heir, more, quotas) !== undefined) break;
      posted.push(moveTo(heir, mail, view.mail.lastSequence + 1 + posted.length));
      bytes += mail.bytes;
    }
    removed.push(mail);
  }
  if (removed.length === 0) return { kind: 'unchanged', outcome: 0 };
  const mail = [
    { ...NO_MAIL, namespace, id, removed },
    { ...NO_MAIL, namespace, id: heir, posted },
  ];
  return { kind: 'changed', outcome: removed.length, change: { atMs: nowMs, nodes: [], events: [], mail } };
}

function moveTo(heir: string, mail: Mail, sequence: number): Mail {
  const { namespace, attempt, bytes, deadlineMs } = mail;
  const envelope = readdress(JSON.parse(mail.text) as Envelope & { id: string }, heir);
  return toMail(
    { namespace, id: heir },
    { ...envelope, attempt },
    { text: toMailText(envelope), bytes },
    { sequence, deadlineMs },
  );
}
