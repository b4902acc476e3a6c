import { envelopeSchema, messageIdSchema } from '@membrane/protocol';
import type { z } from 'zod';
import { toMail, type DeadLetter, type Mail } from '../domain/mail.js';
import type { StoredEntry } from '../store/membrane-store.js';
import type { RowReader } from './row-reader.js';
import { DEAD_LETTER_PREFIX, deadLetterRowSchema, MAIL_PREFIX, mailRowSchema } from './state-rows.js';

export interface DecodedMail {
  /** All messages, the dead ones too, in the order of posting. */
  readonly mails: readonly Mail[];
  /** In the order of death. */
  readonly letters: readonly DeadLetter[];
}

type Death = z.output<typeof deadLetterRowSchema> & { readonly revision: number };

const storedEnvelopeSchema = envelopeSchema.extend({ id: messageIdSchema });

/** Puts the rows of mailboxes together again, in whatever order they come. */
export class MailDecoder {
  readonly #rows: RowReader;
  readonly #mails = new Map<string, Mail>();
  readonly #deaths = new Map<string, Death>();

  constructor(rows: RowReader) {
    this.#rows = rows;
  }

  /** True where it was a row of a mailbox. */
  add(entry: StoredEntry): boolean {
    const { key } = entry;
    if (key.startsWith(MAIL_PREFIX)) {
      this.#mails.set(key.slice(MAIL_PREFIX.length), this.#decode(entry));
    } else if (key.startsWith(DEAD_LETTER_PREFIX)) {
      const { revision } = entry;
      const row = this.#rows.check(deadLetterRowSchema, entry);
      this.#deaths.set(key.slice(DEAD_LETTER_PREFIX.length), { ...row, revision });
    } else {
      return false;
    }
    return true;
  }

  mail(): DecodedMail {
    const letters = [...this.#deaths].map(([name, { revision, ...death }]) => {
      const mail = this.#mails.get(name);
      if (mail === undefined)
        throw this.#rows.damaged(`${DEAD_LETTER_PREFIX}${name}`, 'belongs to no message');
      return { letter: { mail, ...death }, revision };
    });
    // Those that died together did so in the order of posting.
    letters.sort(
      (one, other) => one.revision - other.revision || one.letter.mail.sequence - other.letter.mail.sequence,
    );
    return {
      mails: [...this.#mails.values()].sort((one, other) => one.sequence - other.sequence),
      letters: letters.map(({ letter }) => letter),
    };
  }

  #decode(entry: StoredEntry): Mail {
    const { key } = entry;
    const [namespace, id, place] = this.#rows.names(key, MAIL_PREFIX, 3);
    const sequence = Number(place);
    if (!Number.isSafeInteger(sequence) || sequence < 1) {
      throw this.#rows.damaged(key, 'must have a whole number at the end of its key');
    }
    const { envelope: text, attempt, bytes, deadlineMs } = this.#rows.check(mailRowSchema, entry);
    const value = this.#parse(key, text);
    const envelope = this.#rows.check(storedEnvelopeSchema, { ...entry, value });
    return toMail({ namespace, id }, { ...envelope, attempt }, { text, bytes }, { sequence, deadlineMs });
  }

  #parse(key: string, text: string): StoredEntry['value'] {
    try {
      return JSON.parse(text) as StoredEntry['value'];
    } catch {
      throw this.#rows.damaged(key, 'must hold an envelope as JSON');
    }
  }
}
