import type { MembraneError } from '@membrane/protocol';
import type { MessageTaker } from '../../src/messaging/message-taker.js';
import type { OutgoingMessage, RouteAddress, Transport } from '../../src/transports/transport.js';
import { message } from './transports.js';

/** Where both ends of a transport meet, for the fixtures that run them: see `fixtures/message-place.mjs`. */
export type Place = Readonly<Record<string, string | number>> & { readonly kind: string };

/** A transport and the receiving end that belongs to it. */
export interface TransportSubject {
  /** The strongest outcome that a send resolves with. */
  readonly strongest: 'queued' | 'processed';
  /** Whether it tells that a message is in the memory of its receiver. */
  readonly tellsAccepted: boolean;
  readonly to: RouteAddress;
  /** Opens the receiving end; again, once the one before was closed. */
  receive(taker: MessageTaker): Promise<{ close(): Promise<void> }>;
  connect(): Transport;
  /** Brings bytes in through another door; resolves when they were refused visibly. */
  intrude?(bytes: Buffer): Promise<void>;
  /** Codes of what was put aside, where the transport keeps messages. */
  deadLetterCodes?(): Promise<string[]>;
  /** Undefined where the ends cannot be in processes of their own. */
  readonly place?: Place;
}

/** One of a stream, whose number is its payload. */
export function inStream(number: number, floor: number): OutgoingMessage {
  const { envelope, deadlineAtMs } = message(number, { timeoutMs: 60_000 });
  return {
    envelope: { ...envelope, session: 'session-2', stream: 'orders', sequence: number, floor },
    deadlineAtMs,
  };
}

/** The outcome, or the code of the error. */
export async function codeOf(sending: Promise<{ outcome: string }>): Promise<string> {
  try {
    return (await sending).outcome;
  } catch (error) {
    return (error as MembraneError).code;
  }
}
