import { MembraneError } from '@membrane/protocol';
import type { OutgoingMessage, SendHooks, TransportResult } from './transport.js';

/** A send that somebody waits for. Settles once. */
export class PendingSend {
  readonly message: OutgoingMessage;
  /** How often it was written to a connection. */
  writes = 0;
  isSettled = false;
  readonly #hooks: SendHooks;
  readonly #resolve: (result: TransportResult) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onSettled: () => void;
  readonly #onAbort: (() => void) | undefined;

  constructor(
    message: OutgoingMessage,
    hooks: SendHooks,
    settle: {
      resolve: (result: TransportResult) => void;
      reject: (error: unknown) => void;
      /** Before either of them. */
      onSettled: () => void;
      onAbort: (pending: PendingSend) => void;
    },
  ) {
    this.message = message;
    this.#hooks = hooks;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    this.#onSettled = settle.onSettled;
    if (hooks.signal === undefined) return;
    this.#onAbort = () => {
      this.reject(hooks.signal?.reason);
      settle.onAbort(this);
    };
    hooks.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get id(): string {
    return this.message.envelope.id;
  }

  get signal(): AbortSignal | undefined {
    return this.#hooks.signal;
  }

  accept(): void {
    this.#hooks.onAccepted?.();
  }

  resolve(result: TransportResult): void {
    if (this.#settle()) this.#resolve(result);
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    if (this.#onAbort !== undefined) this.#hooks.signal?.removeEventListener('abort', this.#onAbort);
    this.#onSettled();
    return true;
  }
}

/** The error for a way that is refused, reset or silent. */
export function notDelivered(address: string, reason: string, cause?: unknown): MembraneError {
  return new MembraneError('not_delivered', `${address}: ${reason}`, cause === undefined ? {} : { cause });
}
