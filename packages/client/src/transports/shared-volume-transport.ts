import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { LIMITS, MembraneError } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import { waitWithSignal } from '../abort.js';
import { MAX_TIMER_MS, type Clock } from '../clock.js';
import { MAX_FILES_AT_ONCE, Slots } from '../messaging/slots.js';
import { DurableWriter, type Placement, type WriterFiles } from './durable-writer.js';
import { messageFileName } from './maildir-name.js';
import { toEnvelopeJson } from './outgoing-json.js';
import type { OutgoingMessage, RouteAddress, SendHooks, Transport, TransportResult } from './transport.js';
import { findVolumeInbox, type VolumeInbox } from './volume-path.js';
import { WaitingCount } from './waiting-count.js';

export interface SharedVolumeTransportOptions {
  /** The own shared root: nothing outside is written. */
  readonly root: string;
  readonly clock: Clock;
  /** About how many files may wait in one inbox before it is full. */
  readonly maxWaitingFiles?: number | undefined;
  readonly maxMessageBytes?: number | undefined;
  /** For tests. */
  readonly files?: WriterFiles | undefined;
}

export const DEFAULT_MAX_WAITING_FILES = 10_000;

/** How long what was found out about an address counts. */
const ADDRESS_AGE_MS = 1_000;
const MAX_ADDRESSES = 1_000;
const FULL_RETRY_MS = 1_000;

interface KnownInbox extends VolumeInbox {
  readonly foundAtMs: number;
  readonly waiting: WaitingCount;
}

/**
 * Puts messages into the inbox directory of their receiver, as a maildir: written in `tmp/`, synced, renamed into
 * `new/`, which is synced (https://cr.yp.to/proto/maildir.html). A directory without `new/` belongs to an older program,
 * and gets a `msg_*.json` of `{sender, timestamp, payload}`.
 *
 * `timestamp` is the time of writing by the wall clock, so that the reader can tell what is left of `ttl_ms`: hosts
 * whose clocks differ lengthen or shorten it by as much.
 */
export class SharedVolumeTransport implements Transport {
  readonly #options: SharedVolumeTransportOptions;
  readonly #maxMessageBytes: number;
  readonly #writer: DurableWriter;
  readonly #slots = new Slots(MAX_FILES_AT_ONCE);
  readonly #inboxes = new LRUCache<string, KnownInbox>({ maxSize: MAX_ADDRESSES, sizeCalculation: () => 1 });
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: SharedVolumeTransportOptions) {
    this.#options = options;
    this.#maxMessageBytes = options.maxMessageBytes ?? LIMITS.maxMessageBytes;
    this.#writer = new DurableWriter(options.files);
  }

  /**
   * Resolves with `queued` when the message is durable.
   * @throws MembraneError `forbidden` for a directory outside the shared root; `not_delivered` where there is none, or
   * it cannot be written (full, read-only, another user's); `inbox_full`, `payload_too_large`, `expired`.
   */
  async send(
    message: OutgoingMessage,
    to: RouteAddress,
    { signal }: SendHooks = {},
  ): Promise<TransportResult> {
    if (this.#isClosed) throw new MembraneError('client_closed', 'the client is closed');
    signal?.throwIfAborted();
    const leftMs = message.deadlineAtMs - this.#options.clock.monotonicMs();
    if (leftMs <= 0) throw new MembraneError('expired', 'the deadline of the message has passed');
    const work = this.#slots.run(() => this.#put(message, to, signal));
    this.#underWay.add(work);
    const forget = (): void => void this.#underWay.delete(work);
    work.then(forget, forget);
    return waitWithSignal(this.#inTime(work, leftMs, to.address), signal);
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #put(
    message: OutgoingMessage,
    to: RouteAddress,
    signal: AbortSignal | undefined,
  ): Promise<TransportResult> {
    // It may have waited for its turn.
    signal?.throwIfAborted();
    const inbox = await this.#find(to);
    const placement = placementIn(inbox, message);
    const content = inbox.isMaildir ? this.#toJson(message) : this.#toOlderJson(message);
    try {
      if (inbox.isMaildir && !(await inbox.waiting.add())) {
        throw new MembraneError('inbox_full', `too many messages wait in ${inbox.directory}`, {
          details: { retryAfterMs: FULL_RETRY_MS },
        });
      }
      await this.#writer.place(placement, content);
    } catch (cause) {
      if (cause instanceof MembraneError) throw cause;
      this.#inboxes.delete(keyOf(to));
      throw new MembraneError(
        'not_delivered',
        `the message could not be put into ${inbox.directory}: ${(cause as Error).message}`,
        { cause },
      );
    }
    return { outcome: 'queued' };
  }

  async #find(to: RouteAddress): Promise<KnownInbox> {
    const { root, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const key = keyOf(to);
    const known = this.#inboxes.get(key);
    if (known !== undefined && nowMs - known.foundAtMs < ADDRESS_AGE_MS) return known;
    const found = await findVolumeInbox(to.address, root, to.isRealmNamed === true);
    const waiting =
      known?.directory === found.directory
        ? known.waiting
        : new WaitingCount(
            join(found.directory, 'new'),
            this.#options.maxWaitingFiles ?? DEFAULT_MAX_WAITING_FILES,
            clock,
          );
    const inbox = { ...found, foundAtMs: nowMs, waiting };
    // An older program may be followed by a newer one at any time, and that reads only whole envelopes well.
    if (inbox.isMaildir) this.#inboxes.set(key, inbox);
    return inbox;
  }

  #toJson({ envelope, deadlineAtMs }: OutgoingMessage): string {
    return toEnvelopeJson(
      { envelope: { ...envelope, timestamp: Date.now() / 1_000 }, deadlineAtMs },
      { nowMs: this.#options.clock.monotonicMs(), earlierWrites: 0, maxMessageBytes: this.#maxMessageBytes },
    );
  }

  #toOlderJson({ envelope: { sender, payload } }: OutgoingMessage): string {
    const text = JSON.stringify({ sender, timestamp: Date.now() / 1_000, payload });
    if (Buffer.byteLength(text) <= this.#maxMessageBytes) return text;
    throw new MembraneError(
      'payload_too_large',
      `a message must be at most ${this.#maxMessageBytes} bytes as JSON`,
    );
  }

  /** The file system of a server that is away may never answer. */
  async #inTime<Value>(work: Promise<Value>, leftMs: number, address: string): Promise<Value> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimer(
        () => {
          reject(
            new MembraneError(
              'not_delivered',
              `the message was not written into ${address} before its deadline; it may be there yet`,
            ),
          );
        },
        Math.min(leftMs, MAX_TIMER_MS),
      );
      work.then(resolve, reject).finally(() => {
        timer.cancel();
      });
    });
  }
}

/** The same address may mean another directory where its receiver names the volume. */
function keyOf({ address, isRealmNamed = false }: RouteAddress): string {
  return `${String(isRealmNamed)} ${address}`;
}

function placementIn({ directory, isMaildir }: VolumeInbox, { envelope }: OutgoingMessage): Placement {
  const name = messageFileName(envelope);
  const unique = `${process.pid}.${randomBytes(6).toString('hex')}`;
  if (isMaildir) {
    const waiting = join(directory, 'new');
    return {
      temporary: join(directory, 'tmp', `${name}.${unique}`),
      path: join(waiting, name),
      directory: waiting,
    };
  }
  // Older programs read what begins with msg_, in the order of the names.
  return {
    temporary: join(directory, `.${name}.${unique}`),
    path: join(directory, `msg_${name}`),
    directory,
  };
}
