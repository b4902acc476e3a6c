import { LIMITS } from '@membrane/protocol';
import { DEFAULT_CLIENT_OPTIONS } from '../options.js';

/** What a receiver on sockets holds its peers to. Sizes in bytes, times in milliseconds. */
export interface ReceiverLimits {
  /** Sockets at once; more are hung up on. Each costs a few KiB while it is quiet. */
  readonly maxConnections: number;
  /** An envelope as JSON. A longer one gets 413, or closes the WebSocket with 1009. */
  readonly maxMessageBytes: number;
  /** For the head of a request, and for all of it: a peer that trickles is hung up on. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** A peer silent for three of these is hung up on. Shorter finds dead peers sooner and costs more pings. */
  readonly pingIntervalMs: number;
  /** Answers that a peer has not read yet: above it nothing more is read from that peer. */
  readonly maxBufferedBytes: number;
  /** How long a close waits for messages that are being handled. */
  readonly closeGraceMs: number;
}

export const DEFAULT_RECEIVER_LIMITS: ReceiverLimits = Object.freeze({
  maxConnections: DEFAULT_CLIENT_OPTIONS.messaging.maxConnections,
  maxMessageBytes: LIMITS.maxMessageBytes,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  pingIntervalMs: 10_000,
  maxBufferedBytes: 1024 * 1024,
  closeGraceMs: 2_000,
});

/** What the sending side keeps to. */
export interface StreamTransportLimits {
  /** WebSockets held; for one more, the idle one that was used longest ago goes. */
  readonly maxConnections: number;
  /** One that carried nothing for so long is closed. Longer saves handshakes, shorter saves sockets on both ends. */
  readonly idleTimeoutMs: number;
  /** From the first byte to the receiver's first frame; also all that reconnecting may take. */
  readonly connectTimeoutMs: number;
  /** Tries to get a dropped connection back before its messages fail, to go another way. */
  readonly maxReconnects: number;
  /**
   * How often a message is written before it fails: it may be what makes the receiver hang up. Those behind it are
   * written up to twice as often.
   */
  readonly maxWrites: number;
  /** Messages of a connection under way; the receiver's window may be smaller. */
  readonly maxInFlight: number;
  /** Bytes of a connection that the kernel has not taken yet: above it messages wait. */
  readonly maxBufferedBytes: number;
  /** Of one envelope as JSON. */
  readonly maxMessageBytes: number;
  /** A receiver that owes answers and is silent for three of these counts as gone. */
  readonly pingIntervalMs: number;
  /** How long an address that refused a WebSocket gets its messages by POST before it is asked again. */
  readonly postTtlMs: number;
}

export const DEFAULT_STREAM_TRANSPORT_LIMITS: StreamTransportLimits = Object.freeze({
  maxConnections: 256,
  idleTimeoutMs: 60_000,
  connectTimeoutMs: 2_000,
  maxReconnects: 3,
  maxWrites: 4,
  maxInFlight: 1_024,
  maxBufferedBytes: 4 * 1024 * 1024,
  maxMessageBytes: LIMITS.maxMessageBytes,
  pingIntervalMs: 10_000,
  postTtlMs: 300_000,
});

/** What a frame has around its envelope: `{"m":` and `}`. */
export const FRAME_OVERHEAD_BYTES = 6;

/** Answers hold a reply, that may be as long as a message, and a few fields. */
export const MAX_ANSWER_OVERHEAD_BYTES = 4_096;
