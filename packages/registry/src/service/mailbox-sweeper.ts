import type { Clock } from '../clock.js';
import { mailboxKey, type DeadLetter, type Mail } from '../domain/mail.js';
import type { MailQuotas } from '../domain/mail-posting.js';
import { decideDrop, decideSettlement } from '../domain/mail-settlement.js';
import type { CommandQueue } from './command-queue.js';
import type { RegistryState } from './registry-state.js';

/** Messages that a sweep ends; what is left waits for the next one. */
const SLICE = 500;
/** When a message is looked at again whose end could not be stored. */
const RETRY_MS = 1_000;
/** How much of the room of all boxes dead letters may take, lest they leave none for messages. */
const MAX_DEAD_SHARE = 0.25;
const EXPIRED = { code: 'expired', reason: 'its time was over before a receiver had processed it' };

export interface MailboxSweeperOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  readonly quotas: MailQuotas;
  /** How long somebody has a message still: so long it is not ended. */
  readonly hiddenForMs: (mail: Mail) => number;
}

/** What time does to mailboxes: messages expire, and dead letters are forgotten. */
export class MailboxSweeper {
  readonly #options: MailboxSweeperOptions;

  constructor(options: MailboxSweeperOptions) {
    this.#options = options;
  }

  /** One slice. To be called every tick, while the store can write. */
  async sweep(): Promise<void> {
    const { state, clock, hiddenForMs, quotas } = this.#options;
    const wallMs = clock.wallMs();
    const expired: Mail[] = [];
    for (const mail of state.mail.takeExpired(wallMs, SLICE)) {
      const hiddenMs = hiddenForMs(mail);
      if (hiddenMs > 0) state.mail.postpone(mail, wallMs + hiddenMs);
      else expired.push(mail);
    }
    const outdated = state.mail.outdated(wallMs, quotas.maxTotalBytes * MAX_DEAD_SHARE, SLICE);
    await Promise.all([
      ...groupByBox(expired, (mail) => mail).map((mails) => this.#expire(mails)),
      ...groupByBox(outdated, ({ mail }) => mail).map((letters) => this.#forget(letters)),
    ]);
  }

  async #expire(mails: readonly [Mail, ...Mail[]]): Promise<void> {
    const { state, queue, clock, quotas, hiddenForMs } = this.#options;
    const maxDeadBytes = quotas.maxBytes;
    const [{ namespace, id }] = mails;
    const settlements = mails.map((mail) => ({ mail, death: EXPIRED }));
    try {
      const { outcome: ended } = await queue.submit({
        namespace,
        id,
        decide: (view) => {
          // Whoever had it may have said meanwhile that it is in progress.
          const over = settlements.filter(({ mail }) => hiddenForMs(mail) === 0);
          const command = { namespace, id, settlements: over, maxDeadBytes };
          return decideSettlement(view, command, clock.wallMs());
        },
      });
      for (const mail of mails) {
        if (!ended.has(mail)) state.mail.postpone(mail, clock.wallMs() + hiddenForMs(mail));
      }
    } catch {
      // Not stored, so not over.
      for (const mail of mails) state.mail.postpone(mail, clock.wallMs() + RETRY_MS);
    }
  }

  async #forget(letters: readonly [DeadLetter, ...DeadLetter[]]): Promise<void> {
    const { queue, clock } = this.#options;
    const { namespace, id } = letters[0].mail;
    await queue
      .submit({
        namespace,
        id,
        decide: (view) => decideDrop(view, { namespace, id, letters }, clock.wallMs()),
      })
      // They are still the oldest, so the next sweep finds them.
      .catch(() => undefined);
  }
}

function groupByBox<Item>(items: readonly Item[], toMail: (item: Item) => Mail): [Item, ...Item[]][] {
  const groups = new Map<string, [Item, ...Item[]]>();
  for (const item of items) {
    const { namespace, id } = toMail(item);
    const key = mailboxKey(namespace, id);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
