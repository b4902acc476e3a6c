import { MembraneError, MESSAGES_PATH } from '@membrane/protocol';
import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../clock.js';
import { LazyProcessHold } from '../lazy-process-hold.js';
import type { AddressPolicy, Dial } from './address-policy.js';
import { DeadlineSweep } from './deadline-sweep.js';
import { PeerConnection } from './peer-connection.js';
import { notDelivered, PendingSend, type SendKeeper } from './pending-send.js';
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
  readonly #hold: LazyProcessHold | undefined;
  readonly #sweep: DeadlineSweep;
  /** By address: a path and a URL are never alike. */
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
    this.#hold = holdsProcess ? new LazyProcessHold() : undefined;
    this.#sweep = new DeadlineSweep(clock, (nowMs) => this.#endLate(nowMs));
  }

  send(message: OutgoingMessage, to: RouteAddress, hooks?: SendHooks): Promise<TransportResult> {
    return new Promise((resolve, reject) => {
      hooks?.signal?.throwIfAborted();
      if (this.#isClosed) throw closed();
      const nowMs = this.#clock.monotonicMs();
      const { address } = to;
      if (message.deadlineAtMs <= nowMs) throw notDelivered(address, 'the deadline is over');
      const pending = new PendingSend({ message, to, hooks, keeper: this.#keeper }, resolve, reject);
      this.#hold?.add();
      if (this.#postAddresses.size > 0 && this.#postAddresses.has(address)) {
        this.#sendByPost(pending);
        return;
      }
      const peer = this.#peers.get(address) ?? this.#addPeer(to);
      peer.lastUsedMs = nowMs;
      this.#sweep.watch(message.deadlineAtMs);
      peer.send(pending);
      if (!peer.holdsConnection) this.#connect(peer);
    });
  }

  skip(to: RouteAddress, skipped: { session: string; stream: string; sequence: number }): void {
    const { session, stream, sequence } = skipped;
    this.#peers.get(to.address)?.writeSkip(JSON.stringify({ skip: { session, stream, sequence } }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sweep.stop();
    this.#aliveTimer?.cancel();
    this.#waitingPeers.clear();
    for (const peer of this.#peers.values()) peer.close(closed());
    this.#peers.clear();
    this.#hold?.release();
    await this.#post.close();
  }

  readonly #keeper: SendKeeper = {
    onSettled: () => this.#hold?.remove(),
    onAborted: (pending) => this.#peers.get(pending.to.address)?.forget(pending),
  };

  #addPeer(to: RouteAddress): PeerConnection {
    const { address } = to;
    const peer: PeerConnection = new PeerConnection({
      address,
      findDial: () => this.#findDial(to),
      clock: this.#clock,
      random: this.#random,
      limits: this.#limits,
      onNoWebSocket: (sends) => {
        this.#postAddresses.set(address, true);
        for (const pending of sends) this.#sendByPost(pending);
      },
      onIdle: () => {
        if (!peer.holdsConnection && this.#peers.get(address) === peer) {
          this.#peers.delete(address);
          this.#waitingPeers.delete(peer);
        }
        if (this.#waitingPeers.size > 0) this.#connectWaiting();
      },
      wakeAt: (atMs) => this.#sweep.watch(atMs),
    });
    this.#peers.set(address, peer);
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
    let oldest: PeerConnection | undefined;
    for (const peer of this.#peers.values()) {
      if (!peer.holdsConnection) continue;
      held += 1;
      if (peer.isIdle && (oldest === undefined || peer.lastUsedMs < oldest.lastUsedMs)) oldest = peer;
    }
    if (held < this.#limits.maxConnections) return true;
    if (oldest === undefined) return false;
    this.#drop(oldest);
    return true;
  }

  #drop(peer: PeerConnection): void {
    this.#peers.delete(peer.address);
    peer.close();
  }

  #sendByPost(pending: PendingSend): void {
    this.#post
      .send(pending.message, pending.to, { signal: pending.signal })
      .then((result) => pending.resolve(result))
      .catch((error: unknown) => pending.reject(error));
  }

  #endLate(nowMs: number): number {
    let nextMs = Infinity;
    for (const peer of this.#peers.values()) nextMs = Math.min(nextMs, peer.sweep(nowMs));
    return nextMs;
  }

  #checkAlive(): void {
    this.#aliveTimer = undefined;
    const idleSinceMs = this.#clock.monotonicMs() - this.#limits.idleTimeoutMs;
    for (const peer of this.#peers.values()) {
      if (peer.isIdle && peer.lastUsedMs <= idleSinceMs) this.#drop(peer);
      else peer.checkAlive();
    }
    if (this.#peers.size === 0) return;
    this.#aliveTimer = this.#clock.setTimer(() => this.#checkAlive(), this.#limits.pingIntervalMs);
  }
}

function closed(): MembraneError {
  return new MembraneError('client_closed', 'this client was closed');
}
