import { MembraneError, MESSAGES_PATH } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../clock.js';
import { ProcessHold } from '../process-hold.js';
import type { AddressPolicy, Dial } from './address-policy.js';
import { DeadlineSweep } from './deadline-sweep.js';
import { PeerConnection } from './peer-connection.js';
import { notDelivered, PendingSend } from './pending-send.js';
import { PostTransport } from './post-transport.js';
import { DEFAULT_STREAM_TRANSPORT_LIMITS, type StreamTransportLimits } from './stream-limits.js';
import type { OutgoingMessage, RouteAddress, SendHooks, Transport, TransportResult } from './transport.js';

/** Addresses that are remembered to speak no WebSocket. */
const MAX_POST_ADDRESSES = 1_000;

export interface StreamTransportOptions {
  readonly clock: Clock;
  readonly addressPolicy: AddressPolicy;
  readonly random?: () => number;
  readonly limits?: Partial<StreamTransportLimits> | undefined;
  /** False: a send under way does not keep the process alive. */
  readonly holdsProcess?: boolean | undefined;
}

/**
 * Messages over WebSockets, one an address, for the kinds `ipc` and `network`; by POST where an address speaks none.
 */
export class StreamTransport implements Transport {
  readonly #clock: Clock;
  readonly #policy: AddressPolicy;
  readonly #random: () => number;
  readonly #limits: StreamTransportLimits;
  readonly #post: PostTransport;
  readonly #postAddresses: LRUCache<string, true>;
  readonly #hold: ProcessHold | undefined;
  readonly #sweep: DeadlineSweep;
  readonly #peers = new Map<string, PeerConnection>();
  /** Those that wait until another connection may be closed. */
  readonly #waitingPeers = new Set<PeerConnection>();
  #aliveTimer: Timer | undefined;
  #isClosed = false;

  constructor({
    clock,
    addressPolicy,
    random = Math.random,
    limits,
    holdsProcess = true,
  }: StreamTransportOptions) {
    this.#clock = clock;
    this.#policy = addressPolicy;
    this.#random = random;
    this.#limits = { ...DEFAULT_STREAM_TRANSPORT_LIMITS, ...limits };
    const { maxMessageBytes, postTtlMs } = this.#limits;
    this.#post = new PostTransport({ clock, addressPolicy, maxMessageBytes, holdsProcess: false });
    this.#postAddresses = new LRUCache({
      max: MAX_POST_ADDRESSES,
      ttl: postTtlMs,
      perf: { now: () => clock.monotonicMs() },
    });
    this.#hold = holdsProcess ? new ProcessHold() : undefined;
    this.#sweep = new DeadlineSweep(clock, (nowMs) => this.#endLate(nowMs));
  }

  send(message: OutgoingMessage, to: RouteAddress, hooks: SendHooks = {}): Promise<TransportResult> {
    return new Promise((resolve, reject) => {
      hooks.signal?.throwIfAborted();
      if (this.#isClosed) throw closed();
      const nowMs = this.#clock.monotonicMs();
      if (message.deadlineAtMs <= nowMs) throw notDelivered(to.address, 'the deadline is over');
      const key = `${to.kind} ${to.address}`;
      const pending: PendingSend = new PendingSend(message, hooks, {
        resolve,
        reject,
        onSettled: this.#onSettled,
        onAbort: () => this.#peers.get(key)?.forget(pending),
      });
      this.#hold?.add();
      if (this.#postAddresses.size > 0 && this.#postAddresses.has(key)) {
        this.#sendByPost([pending], to);
        return;
      }
      const peer = this.#peers.get(key) ?? this.#addPeer(key, to);
      peer.lastUsedMs = nowMs;
      this.#sweep.watch(message.deadlineAtMs);
      peer.send(pending);
      if (!peer.holdsConnection) this.#connect(peer);
    });
  }

  skip(to: RouteAddress, skipped: { session: string; stream: string; sequence: number }): void {
    const { session, stream, sequence } = skipped;
    this.#peers
      .get(`${to.kind} ${to.address}`)
      ?.writeSkip(JSON.stringify({ skip: { session, stream, sequence } }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sweep.stop();
    this.#aliveTimer?.cancel();
    this.#waitingPeers.clear();
    for (const peer of this.#peers.values()) peer.close(closed());
    this.#peers.clear();
    await this.#post.close();
  }

  readonly #onSettled = (): void => this.#hold?.remove();

  #addPeer(key: string, to: RouteAddress): PeerConnection {
    const peer: PeerConnection = new PeerConnection({
      address: to.address,
      findDial: () => this.#findDial(to),
      clock: this.#clock,
      random: this.#random,
      limits: this.#limits,
      onNoWebSocket: (sends) => {
        this.#postAddresses.set(key, true);
        this.#sendByPost(sends, to);
      },
      onIdle: () => {
        if (!peer.holdsConnection && this.#peers.get(key) === peer) {
          this.#peers.delete(key);
          this.#waitingPeers.delete(peer);
        }
        if (this.#waitingPeers.size > 0) this.#connectWaiting();
      },
      wakeAt: (atMs) => this.#sweep.watch(atMs),
    });
    this.#peers.set(key, peer);
    this.#aliveTimer ??= this.#clock.setTimer(() => this.#checkAlive(), this.#limits.pingIntervalMs);
    return peer;
  }

  async #findDial(to: RouteAddress): Promise<Dial> {
    const dial = await this.#policy.findDial(to);
    return { ...dial, url: `${dial.url}${MESSAGES_PATH}` };
  }

  /** Where too many are held, once the idle one that was used longest ago is closed. */
  #connect(peer: PeerConnection): void {
    if (this.#makeRoom()) peer.connect();
    else this.#waitingPeers.add(peer);
  }

  #connectWaiting(): void {
    for (const peer of this.#waitingPeers) {
      if (!this.#makeRoom()) return;
      this.#waitingPeers.delete(peer);
      peer.connect();
    }
  }

  #makeRoom(): boolean {
    let held = 0;
    let oldest: [string, PeerConnection] | undefined;
    for (const entry of this.#peers) {
      const [, peer] = entry;
      if (!peer.holdsConnection) continue;
      held += 1;
      if (peer.isIdle && (oldest === undefined || peer.lastUsedMs < oldest[1].lastUsedMs)) oldest = entry;
    }
    if (held < this.#limits.maxConnections) return true;
    if (oldest === undefined) return false;
    this.#drop(...oldest);
    return true;
  }

  #drop(key: string, peer: PeerConnection): void {
    this.#peers.delete(key);
    peer.close();
  }

  #sendByPost(sends: readonly PendingSend[], to: RouteAddress): void {
    for (const pending of sends) {
      this.#post
        .send(pending.message, to, { signal: pending.signal })
        .then((result) => pending.resolve(result))
        .catch((error: unknown) => pending.reject(error));
    }
  }

  #endLate(nowMs: number): number {
    let nextMs = Infinity;
    for (const peer of this.#peers.values()) nextMs = Math.min(nextMs, peer.sweep(nowMs));
    return nextMs;
  }

  #checkAlive(): void {
    this.#aliveTimer = undefined;
    const idleSinceMs = this.#clock.monotonicMs() - this.#limits.idleTimeoutMs;
    for (const [key, peer] of this.#peers) {
      if (peer.isIdle && peer.lastUsedMs <= idleSinceMs) this.#drop(key, peer);
      else peer.checkAlive();
    }
    if (this.#peers.size === 0) return;
    this.#aliveTimer = this.#clock.setTimer(() => this.#checkAlive(), this.#limits.pingIntervalMs);
  }
}

function closed(): MembraneError {
  return new MembraneError('client_closed', 'this client was closed');
}
