import type { JsonValue, MembraneError } from '@membrane/protocol';
import type { KnownEnvelope } from './message.js';

/** What became of a message that was taken: its handler returned (perhaps a reply), or failed. */
export type HandlingResult =
  | { readonly outcome: 'processed'; readonly reply?: JsonValue }
  /** Kept durably on its further way, by one who passes it on. */
  | { readonly outcome: 'queued' }
  | { readonly outcome: 'failed'; readonly error: MembraneError };

export interface TakeOptions {
  /** Of the envelope as JSON, for the limit on memory. */
  readonly sizeBytes: number;
  /**
   * True for a source that keeps the message (a shared volume, the mailbox): then failures of the handler are tried
   * again here before they are told. Who sent over a connection tries again itself.
   */
  readonly isKept: boolean;
}

/** What receivers of every kind hand messages to. */
export interface MessageTaker {
  /**
   * Takes a message into memory (`accepted`), and tells later, once, what became of it: also of one that was there
   * before and is, or was, handled already. May call back before it returns.
   * @returns undefined, or why it is refused: `wrong_receiver`, `inbox_full`, `no_handler`, `expired`, `out_of_order`,
   * `client_closed`. Then nothing of it is kept, and nobody is called back.
   */
  take(
    envelope: KnownEnvelope,
    options: TakeOptions,
    onDone: (result: HandlingResult) => void,
  ): MembraneError | undefined;
  /** The sender will never send that one: those behind it need not wait. */
  skip(session: string, stream: string, sequence: number): void;
  /** How many more messages it would take now; 0 where nobody handles any. */
  readonly window: number;
  /** Tells when the window opens again after it was 0, or a handler comes or goes. Returns what ends it. */
  onWindowChange(listener: () => void): () => void;
}
