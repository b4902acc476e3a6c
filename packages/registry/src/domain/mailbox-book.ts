import { DeadlineHeap } from './deadline-heap.js';
import {
  DEAD_LETTER_RETENTION_MS,
  mailboxKey,
  NO_MAIL,
  type DeadLetter,
  type Mail,
  type MailChange,
  type MailView,
} from './mail.js';
import { Mailbox } from './mailbox.js';

/** Keys remembered of messages that went, of all boxes together: a sender that repeats one does so soon. */
const MAX_REMEMBERED_KEYS = 50_000;

/** The committed mailboxes, with what time and quotas need to know of them. */
export class MailboxBook implements MailView {
  readonly #boxes = new Map<string, Mailbox>();
  readonly #deadlines = new DeadlineHeap<Mail>();
  /** All dead letters by sequence, in the order of their death. */
  readonly #dead = new Map<number, DeadLetter>();
  /** `NS/ID/KEY`, the oldest first. */
  readonly #gone = new Set<string>();
  #lastSequence = 0;
  #loadedSequence = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #deadBytes = 0;

  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Of the youngest message that the store held at the start. */
  get loadedSequence(): number {
    return this.#loadedSequence;
  }

  get bytes(): number {
    return this.#waitingBytes + this.#deadBytes;
  }

  get deadBytes(): number {
    return this.#deadBytes;
  }

  /** Messages that wait, in all boxes. */
  get waiting(): number {
    return this.#waiting;
  }

  get deadLetters(): number {
    return this.#dead.size;
  }

  box(namespace: string, id: string): Mailbox | undefined {
    return this.#boxes.get(mailboxKey(namespace, id));
  }

  wasThere(namespace: string, id: string, key: string): boolean {
    return this.#gone.has(`${mailboxKey(namespace, id)}/${key}`);
  }

  apply(change: MailChange): void {
    const key = mailboxKey(change.namespace, change.id);
    const box = this.#boxes.get(key) ?? Mailbox.empty();
    this.#count(box, -1);
    box.apply(change);
    this.#count(box, 1);
    if (box.isEmpty) this.#boxes.delete(key);
    else this.#boxes.set(key, box);
    for (const mail of change.removed) {
      this.#deadlines.remove(mail);
      this.#remember(`${key}/${mail.key}`);
    }
    for (const letter of change.buried) {
      this.#deadlines.remove(letter.mail);
      this.#dead.set(letter.mail.sequence, letter);
    }
    for (const { mail } of change.dropped) {
      this.#dead.delete(mail.sequence);
      this.#remember(`${key}/${mail.key}`);
    }
    for (const mail of change.posted) {
      this.#lastSequence = Math.max(this.#lastSequence, mail.sequence);
      this.#deadlines.add(mail, mail.deadlineMs);
    }
  }

  /** What was found in the store: each message in the order of the boxes, and why those that died did. */
  load(mails: readonly Mail[], letters: readonly DeadLetter[]): void {
    for (const mail of mails) {
      this.apply({ ...NO_MAIL, namespace: mail.namespace, id: mail.id, posted: [mail] });
    }
    for (const letter of letters) {
      const { namespace, id } = letter.mail;
      this.apply({ ...NO_MAIL, namespace, id, buried: [letter] });
    }
    this.#loadedSequence = this.#lastSequence;
  }

  /** Messages whose deadline is over, at most `limit`. They are asked for once: `postpone` puts one back. */
  takeExpired(nowMs: number, limit: number): Mail[] {
    return this.#deadlines.takeDue(nowMs, limit);
  }

  /** To be given out by `takeExpired` again, at `atMs`, if it is still there. */
  postpone(mail: Mail, atMs: number): void {
    if (this.box(mail.namespace, mail.id)?.waiting.get(mail.key) === mail) {
      this.#deadlines.add(mail, atMs);
    }
  }

  /** The oldest dead letters, at most `limit`: those kept long enough, and those that are beyond `maxBytes`. */
  outdated(nowMs: number, maxBytes: number, limit: number): DeadLetter[] {
    const found: DeadLetter[] = [];
    let bytes = this.#deadBytes;
    for (const letter of this.#dead.values()) {
      const isOld = nowMs - letter.diedAtMs >= DEAD_LETTER_RETENTION_MS;
      if (found.length === limit || (!isOld && bytes <= maxBytes)) break;
      found.push(letter);
      bytes -= letter.mail.bytes;
    }
    return found;
  }

  #count({ waiting, waitingBytes, deadBytes }: Mailbox, sign: 1 | -1): void {
    this.#waiting += sign * waiting.size;
    this.#waitingBytes += sign * waitingBytes;
    this.#deadBytes += sign * deadBytes;
  }

  #remember(goneKey: string): void {
    this.#gone.delete(goneKey);
    this.#gone.add(goneKey);
    if (this.#gone.size <= MAX_REMEMBERED_KEYS) return;
    const [oldest] = this.#gone;
    if (oldest !== undefined) this.#gone.delete(oldest);
  }
}
