import { randomBytes } from 'node:crypto';
import { isMembraneError, MembraneError, type CommunicationMode } from '@membrane/protocol';
import type { Balancer } from '../balancing/balancer.js';
import type { Tell } from '../client-events.js';
import { systemClock } from '../clock.js';
import type { MembraneFinder } from '../membrane-finder.js';
import type { ClientOptions } from '../options.js';
import type { RegistryApi } from '../registry-api.js';
import { createAddressPolicy, isLoopbackHost } from '../transports/address-policy.js';
import { MailboxTransport } from '../transports/mailbox-transport.js';
import { SharedVolumeTransport } from '../transports/shared-volume-transport.js';
import { StreamTransport } from '../transports/stream-transport.js';
import type { Transport } from '../transports/transport.js';
import { askInTime } from './ask-in-time.js';
import { Courier, type Receipt } from './courier.js';
import { OutboxDeadLetters } from './outbox-dead-letters.js';
import { Outbox } from './outbox.js';
import type { KnownEnvelope } from './message.js';
import { MessageSender } from './message-sender.js';
import { Messenger } from './messenger.js';
import type { Realms } from './realms.js';
import type { ReplyBook } from './reply-book.js';
import { RouteFinder } from './route-finder.js';
import { TargetFinder } from './target-finder.js';

const SESSION_BYTES = 9;

export interface SendingParts {
  readonly options: ClientOptions;
  readonly api: RegistryApi;
  readonly finder: MembraneFinder;
  readonly realms: Realms;
  readonly replies: ReplyBook;
  readonly tell: Tell;
  /** As the registry has it; undefined where this client is not registered. */
  readonly ownParent: () => string | null | undefined;
  /** Undefined where this client is not registered. */
  readonly ownInstanceId: () => string | undefined;
  readonly balancer: Balancer;
}

/** Everything that a client sends messages by. */
export class Sending {
  readonly sender: MessageSender;
  readonly outbox: Outbox | undefined;
  readonly outboxDeadLetters: OutboxDeadLetters | undefined;
  readonly #parts: SendingParts;
  readonly #routes: RouteFinder;
  readonly #messenger: Messenger;
  readonly #transports: readonly Transport[];
  #resumed: Promise<void> | undefined;

  private constructor(
    parts: SendingParts,
    {
      routes,
      transports,
      outbox,
    }: { routes: RouteFinder; transports: readonly Transport[]; outbox: Outbox | undefined },
  ) {
    const { options, replies, tell, api } = parts;
    const { id, namespace, messaging } = options;
    this.#parts = parts;
    this.#routes = routes;
    this.#transports = transports;
    this.outbox = outbox;
    const clock = systemClock;
    this.#messenger = new Messenger({
      id,
      namespace,
      session: outbox?.session ?? randomBytes(SESSION_BYTES).toString('base64url'),
      courier: new Courier({ routes, clock, random: Math.random }),
      routes,
      clock,
      tell,
      outbox,
      maxPendingMessages: messaging.maxPendingMessages,
      handlerTries: messaging.handlerTries,
      ownInstanceId: parts.ownInstanceId,
    });
    this.sender = new MessageSender({
      id,
      messenger: this.#messenger,
      targets: new TargetFinder({
        id,
        ownParent: parts.ownParent,
        discover: (name, signal) => routes.discover(name, signal),
        list: (filter, signal) => api.iterateMembranes(filter, { signal }),
      }),
      replies,
      clock,
      defaultTimeoutMs: messaging.sendTimeoutMs,
      canBeReached: () => parts.ownInstanceId() !== undefined,
    });
    if (outbox === undefined) return;
    const resume = ({ envelope, deadlineAtMs }: { envelope: KnownEnvelope; deadlineAtMs: number }): void =>
      void this.#messenger.resume(envelope, Math.max(1, deadlineAtMs - Date.now()));
    this.outboxDeadLetters = new OutboxDeadLetters(outbox, resume);
  }

  /** @throws MembraneError `conflict` where another process has the outbox, `store_unavailable` where it is unusable. */
  static async open(parts: SendingParts): Promise<Sending> {
    const { options, api, finder, realms } = parts;
    const outbox =
      options.outbox === undefined ? undefined : await Outbox.open({ directory: options.outbox });
    const own = await realms.own();
    const clock = systemClock;
    const stream = new StreamTransport({
      clock,
      // The messenger does, while anything is under way.
      holdsProcess: false,
      addressPolicy: createAddressPolicy({
        allowLoopback: options.messaging.allowLoopback || isOnLoopback(options),
        socketDirectory: own.ipc === undefined ? undefined : realms.socketDirectory,
      }),
    });
    const volume = new SharedVolumeTransport({ root: await realms.sharedRoot(), clock });
    const transports: Record<CommunicationMode | 'mailbox', Transport> = {
      ipc: stream,
      network: stream,
      'shared-volume': volume,
      mailbox: new MailboxTransport({ api, timeoutMs: options.timeoutMs, clock }),
    };
    const routes = new RouteFinder({
      id: options.id,
      discover: async (id, signal) => finder.discover(id, { signal }),
      forget: (id) => {
        finder.forget(id);
      },
      isKnown: (id, signal) => isKnown(id, { api, sender: options.id, signal }),
      realms: own,
      transports,
      clock,
      balancer: parts.balancer,
    });
    const sending = new Sending(parts, { routes, transports: [stream, volume], outbox });
    if (outbox !== undefined) sending.#resumed = sending.#resumeAll(outbox);
    return sending;
  }

  /**
   * Resolves when all that an earlier run left in the outbox is under way: what is sent before would pass those of its
   * stream, which would then come too late. Undefined where there is no outbox.
   */
  get resumed(): Promise<void> | undefined {
    return this.#resumed;
  }

  /**
   * Passes a message of somebody else on, where this membrane stands between the two: it comes from below, or goes
   * there.
   * @throws MembraneError `wrong_receiver` where it does not, `routing_loop`, and what the routes said.
   */
  async forward(envelope: KnownEnvelope, ttlMs: number): Promise<Receipt> {
    const { id } = this.#parts.options;
    const target = envelope.target ?? id;
    const from = envelope.path?.at(-2) ?? envelope.sender;
    const isBetween = async (signal: AbortSignal): Promise<boolean> =>
      (await this.#routes.isBelow(target, id, signal)) || (await this.#routes.isBelow(from, id, signal));
    const deadlineAtMs = systemClock.monotonicMs() + ttlMs;
    const { closed } = this.#messenger;
    if (!(await askInTime(isBetween, { clock: systemClock, deadlineAtMs, signal: closed }))) {
      throw new MembraneError('wrong_receiver', `neither "${from}" nor "${target}" is below "${id}"`);
    }
    return this.#messenger.forward(envelope, ttlMs);
  }

  /** What is under way is given up, with `client_closed`; an outbox keeps it for the next run. */
  async close(): Promise<void> {
    this.#messenger.close();
    await Promise.allSettled(this.#transports.map((transport) => transport.close()));
    await this.outbox?.close();
  }

  async #resumeAll(outbox: Outbox): Promise<void> {
    try {
      for await (const { envelope, deadlineAtMs } of outbox.load()) {
        void this.#messenger.resume(envelope, Math.max(1, deadlineAtMs - Date.now()));
      }
    } catch {
      // What could not be read is read by the next run.
    }
  }
}

/** A message without any time is kept for nobody, but refused in another way where nobody has the id. */
async function isKnown(
  target: string,
  { api, sender, signal }: { api: RegistryApi; sender: string; signal: AbortSignal },
): Promise<boolean> {
  try {
    await api.postMessage({ sender, target, payload: null, ttl_ms: 0 }, { signal });
    return true;
  } catch (error) {
    signal.throwIfAborted();
    // What else went wrong says nothing of the id.
    return !isMembraneError(error) || error.code !== 'not_found';
  }
}

/** A registry elsewhere has no business with the loopback of this machine. */
function isOnLoopback({ registryUrls }: ClientOptions): boolean {
  return registryUrls.every((url) => isLoopbackHost(new URL(url).hostname));
}
