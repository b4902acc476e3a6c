import type { Decision } from './change.js';
import {
  MAX_DEAD_LETTERS,
  NO_MAIL,
  type DeadLetter,
  type Mail,
  type MailboxView,
  type MailChange,
} from './mail.js';
import type { StateView } from './state-view.js';

/** What became of a message that was in a box. */
export interface Settlement {
  readonly mail: Mail;
  /** Undefined: its receiver has processed it. */
  readonly death: { readonly code: string; readonly reason: string } | undefined;
}

export interface SettlementCommand {
  readonly namespace: string;
  readonly id: string;
  readonly settlements: readonly Settlement[];
  /** Room for the dead letters of the box. */
  readonly maxDeadBytes: number;
}

/**
 * Ends messages of one box. Those that are no longer in it are passed over. The outcome are those that were. Of dead
 * letters beyond their bounds the oldest go.
 */
export function decideSettlement(
  view: StateView,
  { namespace, id, settlements, maxDeadBytes }: SettlementCommand,
  nowMs: number,
): Decision<ReadonlySet<Mail>> {
  const box = view.mail.box(namespace, id);
  const found = settlements.filter(({ mail }) => box?.waiting.get(mail.key) === mail);
  const ended = new Set(found.map(({ mail }) => mail));
  if (box === undefined || found.length === 0) return { kind: 'unchanged', outcome: ended };
  const removed: Mail[] = [];
  const buried: DeadLetter[] = [];
  for (const { mail, death } of found) {
    if (death === undefined) removed.push(mail);
    else buried.push({ mail, ...death, diedAtMs: nowMs });
  }
  // The store tells of those that die together no other order.
  buried.sort((one, other) => one.mail.sequence - other.mail.sequence);
  const dropped = findSurplus(box, buried, maxDeadBytes);
  return {
    kind: 'changed',
    outcome: ended,
    change: {
      atMs: nowMs,
      nodes: [],
      events: [],
      mail: [{ ...NO_MAIL, namespace, id, removed, buried, dropped }],
    },
  };
}

/** The oldest dead letters, those that are to come last, as far as there is no room for all. */
function findSurplus(
  { dead, deadBytes }: MailboxView,
  buried: readonly DeadLetter[],
  maxDeadBytes: number,
): DeadLetter[] {
  let count = dead.size + buried.length;
  let bytes = buried.reduce((sum, { mail }) => sum + mail.bytes, deadBytes);
  const surplus: DeadLetter[] = [];
  for (const letters of [dead.values(), buried]) {
    for (const letter of letters) {
      if (count <= MAX_DEAD_LETTERS && bytes <= maxDeadBytes) return surplus;
      surplus.push(letter);
      count -= 1;
      bytes -= letter.mail.bytes;
    }
  }
  return surplus;
}

export interface DropCommand {
  readonly namespace: string;
  readonly id: string;
  readonly letters: readonly DeadLetter[];
}

/** Forgets dead letters, as far as they are still there. */
export function decideDrop(
  view: StateView,
  { namespace, id, letters }: DropCommand,
  nowMs: number,
): Decision<undefined> {
  const box = view.mail.box(namespace, id);
  const dropped = letters.filter((letter) => box?.dead.get(letter.mail.key) === letter);
  if (dropped.length === 0) return { kind: 'unchanged', outcome: undefined };
  const mail: readonly MailChange[] = [{ ...NO_MAIL, namespace, id, dropped }];
  return { kind: 'changed', outcome: undefined, change: { atMs: nowMs, nodes: [], events: [], mail } };
}
