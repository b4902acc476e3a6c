import { ERROR_CODES, type ErrorCode } from './error-codes.js';

/** One thing that is wrong with a request: where, and what would be right. */
export interface FieldError {
  /** Path of the field, as in `heartbeats[3].id`; empty for the whole body. */
  path: string;
  message: string;
}

/** One try to hand a message over, as results and errors tell it. */
export interface DeliveryAttempt {
  /** How: `ipc`, `network`, `shared-volume`, `relay` or `mailbox`. */
  route: string;
  /** Where: a socket, a URL, a directory, the id of a relay. */
  address: string;
  /** The membrane and the instance that it was meant for. */
  target: string;
  instanceId?: string;
  /** What came of it: an outcome, the code of an error, or `skipped`. */
  result: string;
  /** Why it failed, or was skipped. */
  reason?: string;
}

export interface MembraneErrorDetails {
  errors?: readonly FieldError[];
  /** What was tried to deliver a message, the last few tries. */
  attempts?: readonly DeliveryAttempt[];
  /** How long to wait before the same call can succeed. */
  retryAfterMs?: number;
}

/**
 * The one error of every Membrane package. Branch on `code`: `instanceof` fails where two copies of the
 * package are installed.
 */
export class MembraneError extends Error {
  override readonly name = 'MembraneError';
  readonly code: ErrorCode;
  readonly details: MembraneErrorDetails;

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: MembraneErrorDetails; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** The HTTP status of the code. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  /** True where the same call, sent again unchanged, can succeed. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}

/** True for a MembraneError of any copy of this package, whichever package threw it. */
export function isMembraneError(error: unknown): error is MembraneError {
  return error instanceof Error && error.name === 'MembraneError' && 'code' in error;
}
