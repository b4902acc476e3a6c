import { randomBytes } from 'node:crypto';
import {
  DEFAULT_NAMESPACE,
  invalidRequest,
  LIMITS,
  MembraneError,
  type DeadLettersAnswer,
  type DeadLettersQuery,
  type DeadLettersRequest,
  type Envelope,
  type MailboxAckAnswer,
  type MailboxAckRequest,
  type MailboxCollectQuery,
  type MailboxPostAnswer,
} from '@membrane/protocol';
import type { Clock } from '../clock.js';
import type { Change } from '../domain/change.js';
import { decideDeadLetters } from '../domain/dead-letter-change.js';
import { HandOutTable, type Collected, type Collector, type HandedMail } from '../domain/hand-outs.js';
import { toLeaseError } from '../domain/lease-fault.js';
import {
  DEFAULT_MESSAGE_TTL_MS,
  MAIL_OVERHEAD_BYTES,
  mailboxKey,
  toMailText,
  type DeadLetter,
  type Mail,
} from '../domain/mail.js';
import { decidePost, toUnknownError, type MailQuotas } from '../domain/mail-posting.js';
import { decideSettlement, type Settlement } from '../domain/mail-settlement.js';
import { findAccess, findAccessFault, mayHaveMailOf } from '../domain/mailbox-access.js';
import type { MembraneNode } from '../domain/membrane-node.js';
import type { CommandQueue } from './command-queue.js';
import { hashToken } from './lease-token.js';
import { MailboxWaiters } from './mailbox-waiters.js';
import { makeMessageId } from './message-id.js';
import type { RegistryState } from './registry-state.js';

/** How long a message that was handed out is hidden from others. */
const HIDE_MS = 30_000;
/** Messages and dead letters in an answer for those who name no limit. */
const DEFAULT_BATCH = 100;
/** Characters of the messages in one answer. */
const MAX_ANSWER_LENGTH = 4 * LIMITS.maxMessageBytes;
/** Messages that may wait for the store at once. */
const MAX_UNSTORED_BYTES = 32 * LIMITS.maxMessageBytes;
/** Collectors that may wait at once, each of whom has a connection. */
const MAX_WAITERS = 10_000;
/** What the registry adds to an envelope: its id, its target, its namespace. */
const MAX_ADDED_BYTES = 1_024;
const RETRY_AFTER_MS = 1_000;
const EXHAUSTED = {
  code: 'handler_failed',
  reason: `${LIMITS.maxLostConsumers} receivers were lost while they had it`,
};

export interface MailboxServiceOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  readonly quotas: MailQuotas;
  /** In place of 30 s. */
  readonly hideMs?: number | undefined;
}

/** The use cases of the mailbox. Requests come in validated. */
export class MailboxService {
  readonly #state: RegistryState;
  readonly #queue: CommandQueue;
  readonly #clock: Clock;
  readonly #quotas: MailQuotas;
  readonly #handOuts: HandOutTable;
  readonly #waiters: MailboxWaiters;
  /** What is about to become dead letters. */
  readonly #dying = new Set<Mail>();
  #unstoredBytes = 0;

  constructor({ state, queue, clock, quotas, hideMs = HIDE_MS }: MailboxServiceOptions) {
    this.#state = state;
    this.#queue = queue;
    this.#clock = clock;
    this.#quotas = quotas;
    this.#handOuts = new HandOutTable({
      hideMs,
      receiptPrefix: randomBytes(9).toString('base64url'),
      wasLoaded: ({ sequence }) => sequence <= state.mail.loadedSequence,
    });
    this.#waiters = new MailboxWaiters(() => clock.monotonicMs());
  }

  /** Resolves once the message is durable. */
  async post(
    id: string,
    envelope: Envelope,
    namespaceInQuery: string | undefined,
  ): Promise<MailboxPostAnswer> {
    const wallMs = this.#clock.wallMs();
    const namespace = envelope.namespace ?? namespaceInQuery ?? DEFAULT_NAMESPACE;
    checkAddress(envelope, id, namespaceInQuery ?? namespace);
    const ttlMs = envelope.ttl_ms ?? DEFAULT_MESSAGE_TTL_MS;
    if (ttlMs <= 0) throw this.#explainNoTime(namespace, id);
    const known = { ...envelope, id: envelope.id ?? makeMessageId(wallMs), target: id, namespace };
    const text = toMailText(known);
    const length = Buffer.byteLength(text);
    checkLength(envelope, length);
    const bytes = length + MAIL_OVERHEAD_BYTES;
    const command = { namespace, id, envelope: known, text, bytes, deadlineMs: wallMs + ttlMs };
    if (this.#unstoredBytes + bytes > MAX_UNSTORED_BYTES) {
      throw new MembraneError('store_unavailable', 'more messages wait for the store than memory is for', {
        details: { retryAfterMs: RETRY_AFTER_MS },
      });
    }
    this.#unstoredBytes += bytes;
    try {
      await this.#queue.submit({
        namespace,
        id,
        bytes,
        decide: (view) => decidePost(view, command, this.#quotas, this.#clock.wallMs()),
      });
    } finally {
      this.#unstoredBytes -= bytes;
    }
    return { success: true, message_id: known.id, queued: true };
  }

  /**
   * Hands out messages; waits for the first one where there is none. `signal`: the collector went away.
   * @throws MembraneError `not_registered`, `superseded`, `lease_token_required`, `removed`, also when it becomes so
   * while it waits; `not_ready` where too many wait.
   */
  async collect(
    id: string,
    query: MailboxCollectQuery,
    leaseToken: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly HandedMail[]> {
    const namespace = query.namespace ?? DEFAULT_NAMESPACE;
    const collector = { instanceId: query.instance_id, tokenHash: hashToken(leaseToken) };
    const look = (): Collected => this.#look(namespace, id, collector, query.max ?? DEFAULT_BATCH);
    const { items, returnsAtMs } = look();
    const waitMs = query.wait_ms ?? 0;
    if (items.length > 0 || waitMs === 0) return items;
    if (this.#waiters.size >= MAX_WAITERS) {
      throw new MembraneError('not_ready', `${MAX_WAITERS} collectors wait for messages already`, {
        details: { retryAfterMs: RETRY_AFTER_MS },
      });
    }
    return this.#waiters.wait({ key: mailboxKey(namespace, id), look, waitMs, returnsAtMs, signal });
  }

  /** Nobody was there to get them, or whoever has them gives them back: others get them at once. */
  release(items: readonly Pick<HandedMail, 'receipt' | 'mail'>[]): void {
    this.#handOuts.release(items);
    const mail = items[0]?.mail;
    if (mail !== undefined) this.#waiters.wake(mailboxKey(mail.namespace, mail.id));
  }

  /** Resolves once what became of the messages is durable. Who has one still, or gave it back, is only in memory. */
  async ack(id: string, request: MailboxAckRequest): Promise<MailboxAckAnswer> {
    const namespace = request.namespace ?? DEFAULT_NAMESPACE;
    const collector = { instanceId: undefined, tokenHash: hashToken(request.lease_token) };
    const mails = new Map<string, Mail>();
    const inProgress = new Set<Mail>();
    const settlements = new Map<Mail, Settlement>();
    const returned: { receipt: string; mail: Mail }[] = [];
    for (const { receipt, outcome, reason } of request.acks) {
      const mail = this.#handOuts.find(receipt);
      if (mail?.namespace !== namespace || mail.id !== id) continue;
      if (outcome === 'released') {
        returned.push({ receipt, mail });
        continue;
      }
      mails.set(receipt, mail);
      if (outcome === 'in_progress') {
        inProgress.add(mail);
        continue;
      }
      const death =
        outcome === 'processed'
          ? undefined
          : { code: 'handler_failed', reason: reason ?? 'its receiver gave no reason' };
      if (!settlements.has(mail)) settlements.set(mail, { mail, death });
    }
    const { acks } = request;
    if (acks.some(({ outcome }) => outcome === 'in_progress')) {
      this.#checkAccess(namespace, id, collector);
      for (const mail of inProgress) this.#handOuts.extend(mail, this.#clock.monotonicMs());
    }
    // An empty one is checked too, and one that only gives back.
    const isSettling = acks.length === 0 || acks.some(({ outcome }) => outcome !== 'in_progress');
    const ended = isSettling ? await this.#settle(namespace, id, collector, [...settlements.values()]) : null;
    // Some may have gone, or to others, while the store was waited for.
    const free = returned.filter(({ receipt, mail }) => this.#handOuts.find(receipt) === mail);
    this.release(free);
    const isFree = new Set(free.map(({ receipt }) => receipt));
    const unknown = acks.flatMap(({ receipt, outcome }) => {
      const mail = mails.get(receipt);
      const isKnown = mail !== undefined && (outcome === 'in_progress' || ended?.has(mail) === true);
      return isKnown || isFree.has(receipt) ? [] : [receipt];
    });
    return { success: true, unknown };
  }

  /** Dead letters, the oldest first. */
  deadLetters(id: string, query: DeadLettersQuery): readonly DeadLetter[] {
    const box = this.#state.mail.box(query.namespace ?? DEFAULT_NAMESPACE, id);
    return [...(box?.dead.values() ?? [])].slice(0, query.limit ?? DEFAULT_BATCH);
  }

  /** Resolves once it is durable. */
  async changeDeadLetters(id: string, request: DeadLettersRequest): Promise<DeadLettersAnswer> {
    const namespace = request.namespace ?? DEFAULT_NAMESPACE;
    const command = {
      namespace,
      id,
      action: request.action,
      messageIds: request.message_ids ?? undefined,
      deadlineMs: this.#clock.wallMs() + (request.ttl_ms ?? DEFAULT_MESSAGE_TTL_MS),
    };
    const { outcome } = await this.#queue.submit({
      namespace,
      id,
      decide: (view) => decideDeadLetters(view, command, this.#quotas, this.#clock.wallMs()),
    });
    return { success: true, changed: outcome.changed, unknown: [...outcome.unknown] };
  }

  /** How long somebody has this message still; 0 where nobody has it. */
  hiddenForMs(mail: Mail): number {
    return this.#handOuts.hiddenForMs(mail, this.#clock.monotonicMs());
  }

  /** To be called when a change has been applied: it may concern those who wait. */
  noteChange({ nodes, mail = [] }: Change): void {
    for (const { namespace, id, removed, buried } of mail) {
      for (const gone of removed) this.#handOuts.forget(gone);
      for (const letter of buried) this.#handOuts.forget(letter.mail);
      this.#waiters.wake(mailboxKey(namespace, id));
    }
    if (this.#waiters.size === 0) return;
    for (const { before, after } of nodes) {
      const node = after ?? before;
      if (node !== undefined) this.#waiters.wake(mailboxKey(node.namespace, node.id));
    }
  }

  /** Answers those who wait. */
  stop(): void {
    this.#waiters.stop();
  }

  async #settle(
    namespace: string,
    id: string,
    collector: Collector,
    settlements: readonly Settlement[],
  ): Promise<ReadonlySet<Mail>> {
    const { outcome } = await this.#queue.submit({
      namespace,
      id,
      decide: (view) => {
        const fault = findAccessFault(view.node(namespace, id), collector);
        if (fault !== undefined) return { kind: 'refused', error: toLeaseError(fault, id) };
        const maxDeadBytes = this.#quotas.maxBytes;
        const command = { namespace, id, settlements, maxDeadBytes };
        return decideSettlement(view, command, this.#clock.wallMs());
      },
    });
    return outcome;
  }

  #checkAccess(namespace: string, id: string, collector: Collector): MembraneNode | undefined {
    const node = this.#state.directory.node(namespace, id);
    const fault = findAccessFault(node, collector);
    if (fault !== undefined) throw toLeaseError(fault, id);
    return node;
  }

  #look(namespace: string, id: string, collector: Collector, max: number): Collected {
    const node = this.#checkAccess(namespace, id, collector);
    const collected = this.#handOuts.collect(this.#state.mail.box(namespace, id), {
      collector,
      incarnation: findAccess(node, collector)?.incarnation,
      isLive: (incarnation) => node?.instances.some((live) => live.incarnation === incarnation) ?? false,
      mayHave: (instanceId) => mayHaveMailOf(node, instanceId, collector),
      max,
      maxBytes: MAX_ANSWER_LENGTH,
      wallMs: this.#clock.wallMs(),
      nowMs: this.#clock.monotonicMs(),
    });
    const exhausted = collected.exhausted.filter((mail) => !this.#dying.has(mail));
    if (exhausted.length > 0) void this.#bury(namespace, id, exhausted);
    return collected;
  }

  /** Whom nobody knows is said first: so a sender learns whether somebody is only away, and leaves nothing there. */
  #explainNoTime(namespace: string, id: string): MembraneError {
    return this.#state.directory.node(namespace, id) === undefined
      ? toUnknownError(namespace, id)
      : new MembraneError('expired', 'the message has no time left');
  }

  /** Never rejects: what could not be stored is found again by whoever collects next. */
  async #bury(namespace: string, id: string, mails: readonly Mail[]): Promise<void> {
    for (const mail of mails) this.#dying.add(mail);
    const settlements = mails.map((mail) => ({ mail, death: EXHAUSTED }));
    const command = { namespace, id, settlements, maxDeadBytes: this.#quotas.maxBytes };
    try {
      await this.#queue.submit({
        namespace,
        id,
        decide: (view) => decideSettlement(view, command, this.#clock.wallMs()),
      });
    } catch {
      // It waits, and is handed to nobody.
    } finally {
      for (const mail of mails) this.#dying.delete(mail);
    }
  }
}

function checkAddress(envelope: Envelope, id: string, namespace: string): void {
  const errors = [];
  if (envelope.target != null && envelope.target !== id) {
    errors.push({ path: 'target', message: `must be the "${id}" of the path; got "${envelope.target}"` });
  }
  if (envelope.namespace != null && envelope.namespace !== namespace) {
    const message = `must be the "${namespace}" of the query; got "${envelope.namespace}"`;
    errors.push({ path: 'namespace', message });
  }
  if (errors.length > 0) throw invalidRequest(errors, 'body');
}

/** `length`: of what is kept of the envelope. Its own counts, which is looked for only where it may be too much. */
function checkLength(envelope: Envelope, length: number): void {
  if (length <= LIMITS.maxMessageBytes - MAX_ADDED_BYTES) return;
  if (Buffer.byteLength(JSON.stringify(envelope)) <= LIMITS.maxMessageBytes) return;
  const message = `an envelope must be at most ${LIMITS.maxMessageBytes} bytes as JSON`;
  throw new MembraneError('payload_too_large', message);
}
