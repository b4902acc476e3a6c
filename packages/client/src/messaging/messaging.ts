import type { JsonValue } from '@membrane/protocol';
import type { Balancer } from '../balancing/balancer.js';
import type { ClientEvents, Tell } from '../client-events.js';
import { systemClock } from '../clock.js';
import { findInbox, type Endpoint } from '../endpoint.js';
import { processLeaseToken } from '../lease-token.js';
import type { ClientOptions } from '../options.js';
import type { MembraneFinder } from '../membrane-finder.js';
import type { OwnRegistration } from '../own-registration.js';
import type { RegistryApi } from '../registry-api.js';
import { DeadLetterDirectory } from '../transports/dead-letter-directory.js';
import { MailboxCollector } from '../transports/mailbox-collector.js';
import { DeadLetters, type DeadLetterPlace } from './dead-letters.js';
import type { SendOptions } from './delivery.js';
import type { Handlers } from './handlers.js';
import { Inbox } from './inbox.js';
import { IncomingRouter } from './incoming-router.js';
import { MailboxDeadLetters } from './mailbox-dead-letters.js';
import type { MessageSender } from './message-sender.js';
import { Realms } from './realms.js';
import { ReceivingEnd } from './receiving-end.js';
import { ReplyBook } from './reply-book.js';
import { Sending } from './sending.js';
import type { Member } from './target-finder.js';

/** How long handlers may take to return when the client is closed, in milliseconds. */
const CLOSE_GRACE_MS = 2_000;

/** How long a reply is tried to be delivered: whether somebody still waits for it is not known. */
const REPLY_TIMEOUT_MS = 60_000;

export interface MessagingParts {
  readonly options: ClientOptions;
  readonly api: RegistryApi;
  /** Its calls let the process end. */
  readonly background: RegistryApi;
  readonly finder: MembraneFinder;
  readonly handlers: Handlers;
  readonly balancer: Balancer;
  readonly own: OwnRegistration;
  readonly tell: Tell;
  /** True where this very name is registered by who started this process, or by another client in it. */
  readonly isRegisteredByOthers: () => boolean;
}

/** The composition root of messaging: makes the parts of one client and hands them to each other. */
export class Messaging {
  readonly deadLetters: DeadLetters;
  readonly #parts: MessagingParts;
  readonly #replies = new ReplyBook();
  readonly #realms: Realms;
  readonly #inbox: Inbox;
  readonly #router: IncomingRouter;
  readonly #receiving: ReceivingEnd;
  #sending: Promise<Sending> | undefined;
  #collector: MailboxCollector | undefined;
  /** True once somebody wants messages. */
  #isWanted = false;
  #isLeaving = false;

  constructor(parts: MessagingParts) {
    this.#parts = parts;
    const { options, own, handlers, tell } = parts;
    this.#realms = new Realms(options);
    this.#inbox = new Inbox({ handlers, clock: systemClock, random: Math.random, limits: options.messaging });
    this.#router = new IncomingRouter({
      id: options.id,
      namespace: options.namespace,
      instanceId: () => own.instanceId,
      isOurs: () => own.state !== 'superseded' && own.state !== 'removed',
      isRelay: () => own.isRelay,
      inbox: this.#inbox,
      replies: this.#replies,
      forward: async (envelope, ttlMs) => (await this.#openSending()).forward(envelope, ttlMs),
      sendReply: (to, payload, options) => void this.#sendReply(to, payload, options),
    });
    this.#receiving = new ReceivingEnd({
      options,
      taker: this.#router,
      realms: this.#realms,
      clock: systemClock,
      registryUrl: () => parts.api.url,
      onFailure: (error) => tell('receiverFailed', error),
    });
    this.deadLetters = new DeadLetters(() => this.#deadLetterPlaces());
  }

  async sender(): Promise<MessageSender> {
    const sending = await this.#openSending();
    if (sending.resumed !== undefined) await sending.resumed;
    return sending.sender;
  }

  /**
   * Opens what messages come by, and what an outbox has left to send.
   * @returns where others reach this client.
   * @throws MembraneError where none can be opened; `conflict` where another process has the outbox.
   */
  async open(instanceId: string): Promise<readonly Endpoint[]> {
    if (this.#parts.options.outbox !== undefined) await this.#openSending();
    return this.#receiving.open(instanceId);
  }

  /** Somebody handles messages now: those that wait in the inbox directory and in the mailbox are collected too. */
  async collect(): Promise<void> {
    this.#isWanted = true;
    await this.#collect();
  }

  /** To be told of the events of the registration. */
  async noteRegistration(event: keyof ClientEvents): Promise<void> {
    if (event === 'registered') {
      this.#collector?.resume();
      await this.#collect();
    } else if (event === 'superseded' || event === 'removed') await this.stopCollecting();
  }

  /** Takes nothing more out of the inbox directory and the mailbox, and tells them what is done. */
  async stopCollecting(): Promise<void> {
    const collector = this.#collector;
    this.#collector = undefined;
    await Promise.allSettled([collector?.stop(), this.#receiving.stopReading()]);
  }

  /** The same for good: this client is about to be closed. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    await this.stopCollecting();
  }

  /** Lets handlers that run return, then closes what messages come and go by. */
  async close(signal: AbortSignal | undefined): Promise<void> {
    this.#isLeaving = true;
    const emptied = this.#inbox.close(signal?.aborted === true ? 0 : CLOSE_GRACE_MS);
    this.#parts.handlers.endIterations();
    await emptied;
    await Promise.allSettled([this.#receiving.close(), this.#sending?.then((sending) => sending.close())]);
  }

  async #collect(): Promise<void> {
    const { own, options, background, isRegisteredByOthers } = this.#parts;
    const { state, instanceId } = own;
    const isRegistered = state === 'held' || state === 'lapsed' || isRegisteredByOthers();
    if (!this.#isWanted || !isRegistered || this.#isLeaving) return;
    this.#collector ??= new MailboxCollector({
      api: background,
      id: options.id,
      instanceId,
      leaseToken: options.leaseToken ?? processLeaseToken(),
      taker: this.#router,
    });
    this.#collector.start();
    await this.#receiving.readVolume(instanceId);
  }

  #openSending(): Promise<Sending> {
    const { options, api, finder, tell, own, balancer } = this.#parts;
    this.#sending ??= Sending.open({
      options,
      api,
      finder,
      realms: this.#realms,
      replies: this.#replies,
      tell,
      balancer,
      ownParent: () => own.lease?.parent,
      ownInstanceId: () => (own.state === 'held' ? own.instanceId : undefined),
    }).catch((error: unknown) => {
      this.#sending = undefined;
      throw error;
    });
    return this.#sending;
  }

  async #sendReply(to: Member, payload: JsonValue, options: SendOptions): Promise<void> {
    try {
      const sender = await this.sender();
      await sender.sendTo(to, payload, { ...options, timeoutMs: REPLY_TIMEOUT_MS });
    } catch {
      // Told by the event of a dead letter.
    }
  }

  async #deadLetterPlaces(): Promise<readonly DeadLetterPlace[]> {
    const { options, api, own } = this.#parts;
    const { outboxDeadLetters } = options.outbox === undefined ? {} : await this.#openSending();
    return [
      new MailboxDeadLetters(api, options.id),
      ...(options.modes.includes('shared-volume')
        ? [new DeadLetterDirectory(await findInbox({ ...options, instanceId: own.instanceId }))]
        : []),
      ...(outboxDeadLetters === undefined ? [] : [outboxDeadLetters]),
    ];
  }
}
