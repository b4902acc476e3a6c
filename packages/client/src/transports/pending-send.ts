import { MembraneError } from '@membrane/protocol';
import type { OutgoingMessage, RouteAddress, SendHooks, TransportResult } from './transport.js';

/** Who keeps a send until it is settled. */
export interface SendKeeper {
  /** Before the promise of the send settles. */
  onSettled(pending: PendingSend): void;
  /** The caller wants no answer any more, and has been told so. */
  onAborted(pending: PendingSend): void;
}

/** A send that somebody waits for. Settles once. */
export class PendingSend {
  readonly message: OutgoingMessage;
  readonly to: RouteAddress;
  /** How often it was written to a connection. */
  writes = 0;
  isSettled = false;
  readonly #hooks: SendHooks | undefined;
  readonly #keeper: SendKeeper;
  readonly #resolve: (result: TransportResult) => void;
  readonly #reject: (error: unknown) => void;
  #onAbort: (() => void) | undefined;

  constructor(
    {
      message,
      to,
      hooks,
      keeper,
    }: {
      message: OutgoingMessage;
      to: RouteAddress;
      hooks: SendHooks | undefined;
      keeper: SendKeeper;
    },
    resolve: (result: TransportResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.message = message;
    this.to = to;
    this.#hooks = hooks;
    this.#keeper = keeper;
    this.#resolve = resolve;
    this.#reject = reject;
    const signal = hooks?.signal;
    if (signal === undefined) return;
    this.#onAbort = () => {
      this.reject(signal.reason);
      keeper.onAborted(this);
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get id(): string {
    return this.message.envelope.id;
  }

  get signal(): AbortSignal | undefined {
    return this.#hooks?.signal;
  }

  accept(): void {
    this.#hooks?.onAccepted?.();
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
    if (this.#onAbort !== undefined) this.#hooks?.signal?.removeEventListener('abort', this.#onAbort);
    this.#keeper.onSettled(this);
    return true;
  }
}

/** The error for a way that is refused, reset or silent. */
export function notDelivered(address: string, reason: string, cause?: unknown): MembraneError {
  return new MembraneError('not_delivered', `${address}: ${reason}`, cause === undefined ? {} : { cause });
}
