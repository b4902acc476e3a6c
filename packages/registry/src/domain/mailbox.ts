import { LayeredMap } from './layered-map.js';
import type { DeadLetter, Mail, MailboxView, MailChange, OrderedView } from './mail.js';

interface OrderedMap<Value> extends OrderedView<string, Value> {
  set(key: string, value: Value): unknown;
  delete(key: string): unknown;
}

/** What waits for one membrane, and what of it died. */
export class Mailbox implements MailboxView {
  readonly waiting: OrderedMap<Mail>;
  readonly dead: OrderedMap<DeadLetter>;
  #waitingBytes: number;
  #deadBytes: number;

  private constructor(
    waiting: OrderedMap<Mail>,
    dead: OrderedMap<DeadLetter>,
    { waitingBytes, deadBytes }: { waitingBytes: number; deadBytes: number },
  ) {
    this.waiting = waiting;
    this.dead = dead;
    this.#waitingBytes = waitingBytes;
    this.#deadBytes = deadBytes;
  }

  static empty(): Mailbox {
    return new Mailbox(new Map<string, Mail>(), new Map<string, DeadLetter>(), NO_BYTES);
  }

  /** One that starts as the other is, and leaves it as it is. */
  static over(base: MailboxView): Mailbox {
    return new Mailbox(
      new LayeredMap(base.waiting, ({ key }) => key),
      new LayeredMap(base.dead, ({ mail }) => mail.key),
      base,
    );
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get deadBytes(): number {
    return this.#deadBytes;
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0 && this.dead.size === 0;
  }

  apply({ dropped, removed, buried, posted }: MailChange): void {
    for (const mail of removed) this.#take(mail);
    for (const letter of buried) {
      this.#take(letter.mail);
      this.dead.set(letter.mail.key, letter);
      this.#deadBytes += letter.mail.bytes;
    }
    for (const { mail } of dropped) {
      if (!this.dead.has(mail.key)) continue;
      this.dead.delete(mail.key);
      this.#deadBytes -= mail.bytes;
    }
    for (const mail of posted) {
      this.waiting.set(mail.key, mail);
      this.#waitingBytes += mail.bytes;
    }
  }

  #take(mail: Mail): void {
    if (!this.waiting.has(mail.key)) return;
    this.waiting.delete(mail.key);
    this.#waitingBytes -= mail.bytes;
  }
}

const NO_BYTES = { waitingBytes: 0, deadBytes: 0 };
