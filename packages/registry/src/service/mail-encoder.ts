import type { DeadLetter, Mail, MailChange } from '../domain/mail.js';
import type { ChangeSet } from '../store/membrane-store.js';
import { DEAD_LETTER_PREFIX, MAIL_PREFIX } from './state-rows.js';

const rowName = ({ namespace, id, sequence }: Mail): string => `${namespace}/${id}/${sequence}`;
const mailKey = (mail: Mail): string => `${MAIL_PREFIX}${rowName(mail)}`;
const deadLetterKey = ({ mail }: DeadLetter): string => `${DEAD_LETTER_PREFIX}${rowName(mail)}`;

/**
 * The rows that a change of a mailbox writes and deletes. A message that dies gets a second, small row: it can die
 * where there is hardly room on the disk, and however long it is.
 */
export function encodeMail({ posted, removed, buried, dropped }: MailChange): ChangeSet {
  const puts: { key: string; value: { [key: string]: string | number } }[] = [];
  for (const mail of posted) {
    const { text, attempt, bytes, deadlineMs } = mail;
    puts.push({ key: mailKey(mail), value: { envelope: text, attempt, bytes, deadlineMs } });
  }
  const surplus = new Set(dropped);
  for (const letter of buried) {
    if (surplus.has(letter)) continue;
    const { code, reason, diedAtMs } = letter;
    puts.push({ key: deadLetterKey(letter), value: { code, reason, diedAtMs } });
  }
  const deletes = removed.map(mailKey);
  for (const letter of dropped) deletes.push(mailKey(letter.mail), deadLetterKey(letter));
  return { puts, deletes };
}
