import type { Envelope } from '@membrane/protocol';
import type { Decision } from './change.js';
import { NO_MAIL, toMail, toMailText, type DeadLetter, type Mail, type MailboxView } from './mail.js';
import { findQuotaFault, type MailQuotas } from './mail-posting.js';
import type { StateView } from './state-view.js';

export interface DeadLetterCommand {
  readonly namespace: string;
  readonly id: string;
  readonly action: 'requeue' | 'discard';
  /** Undefined: all. */
  readonly messageIds: readonly string[] | undefined;
  /** Of those put back: wall clock, epoch milliseconds. */
  readonly deadlineMs: number;
}

export interface DeadLetterOutcome {
  readonly changed: number;
  /** Ids that are no dead letters. */
  readonly unknown: readonly string[];
}

/** Puts dead letters at the end of their box, all or none, or forgets them. */
export function decideDeadLetters(
  view: StateView,
  { namespace, id, action, messageIds, deadlineMs }: DeadLetterCommand,
  quotas: MailQuotas,
  nowMs: number,
): Decision<DeadLetterOutcome> {
  const box = view.mail.box(namespace, id);
  const { letters, unknown } = find(box, messageIds);
  const outcome = { changed: letters.length, unknown };
  if (letters.length === 0) return { kind: 'unchanged', outcome };
  const posted = new Map<string, Mail>();
  if (action === 'requeue') {
    const bytes = letters.reduce((sum, { mail }) => sum + mail.bytes, 0);
    const more = { messages: letters.length, bytes, addedBytes: 0 };
    const fault = findQuotaFault(view.mail, box, id, more, quotas);
    if (fault !== undefined) return { kind: 'refused', error: fault };
    for (const { mail } of letters) {
      const again = revive(mail, { sequence: view.mail.lastSequence + 1 + posted.size, deadlineMs });
      // Its session sent it once more since it was put back the last time: it is there already.
      if (box?.waiting.has(again.key) !== true && !posted.has(again.key)) posted.set(again.key, again);
    }
  }
  const mail = [{ ...NO_MAIL, namespace, id, dropped: letters, posted: [...posted.values()] }];
  return { kind: 'changed', outcome, change: { atMs: nowMs, nodes: [], events: [], mail } };
}

function find(
  box: MailboxView | undefined,
  messageIds: readonly string[] | undefined,
): { letters: DeadLetter[]; unknown: string[] } {
  if (messageIds === undefined) return { letters: [...(box?.dead.values() ?? [])], unknown: [] };
  const byId = new Map<string, DeadLetter[]>();
  for (const letter of box?.dead.values() ?? []) {
    const { messageId } = letter.mail;
    const others = byId.get(messageId);
    if (others === undefined) byId.set(messageId, [letter]);
    else others.push(letter);
  }
  const letters: DeadLetter[] = [];
  const unknown: string[] = [];
  for (const messageId of new Set(messageIds)) {
    const found = byId.get(messageId);
    if (found === undefined) unknown.push(messageId);
    else letters.push(...found);
  }
  return { letters, unknown };
}

/**
 * The message as it is put back. Its place among those of its session has passed: with its sequence a receiver that
 * went on without it would take it for a straggler, so it has none any more.
 */
function revive(mail: Mail, place: { sequence: number; deadlineMs: number }): Mail {
  const {
    session: _session,
    sequence: _sequence,
    floor: _floor,
    ...kept
  } = JSON.parse(mail.text) as Envelope & { id: string };
  const envelope = { ...kept, attempt: mail.attempt + 1 };
  return toMail(mail, envelope, { text: toMailText(envelope), bytes: mail.bytes }, place);
}
