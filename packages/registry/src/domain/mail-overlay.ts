import { mailboxKey, type MailboxView, type MailChange, type MailView } from './mail.js';
import { Mailbox } from './mailbox.js';

/** The mailboxes with the changes of a group laid over them. */
export class MailOverlay implements MailView {
  readonly #base: MailView;
  readonly #boxes = new Map<string, Mailbox>();
  readonly #gone = new Set<string>();
  #lastSequence: number;
  #bytes: number;

  constructor(base: MailView) {
    this.#base = base;
    this.#lastSequence = base.lastSequence;
    this.#bytes = base.bytes;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get bytes(): number {
    return this.#bytes;
  }

  box(namespace: string, id: string): MailboxView | undefined {
    const box = this.#boxes.get(mailboxKey(namespace, id));
    if (box === undefined) return this.#base.box(namespace, id);
    return box.isEmpty ? undefined : box;
  }

  wasThere(namespace: string, id: string, key: string): boolean {
    return this.#gone.has(`${mailboxKey(namespace, id)}/${key}`) || this.#base.wasThere(namespace, id, key);
  }

  add(change: MailChange): void {
    const { namespace, id } = change;
    const key = mailboxKey(namespace, id);
    let box = this.#boxes.get(key);
    if (box === undefined) {
      const base = this.#base.box(namespace, id);
      box = base === undefined ? Mailbox.empty() : Mailbox.over(base);
      this.#boxes.set(key, box);
    }
    const before = box.waitingBytes + box.deadBytes;
    box.apply(change);
    this.#bytes += box.waitingBytes + box.deadBytes - before;
    for (const mail of change.removed) this.#gone.add(`${key}/${mail.key}`);
    for (const { mail } of change.dropped) this.#gone.add(`${key}/${mail.key}`);
    for (const { sequence } of change.posted) this.#lastSequence = Math.max(this.#lastSequence, sequence);
  }
}
