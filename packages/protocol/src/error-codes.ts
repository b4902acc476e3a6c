export interface ErrorCodeTraits {
  /** The HTTP status that carries the code. */
  status: number;
  /** True where the same call, sent again unchanged, can succeed. */
  retryable: boolean;
  /** What a person reads first. */
  title: string;
}

/** The one table of what can go wrong: clients branch on the code, HTTP carries its status. */
export const ERROR_CODES = Object.freeze({
  invalid_request: { status: 400, retryable: false, title: 'Invalid request' },
  forbidden: { status: 403, retryable: false, title: 'Forbidden' },
  not_found: { status: 404, retryable: false, title: 'Not found' },
  not_registered: { status: 404, retryable: false, title: 'Not registered' },
  method_not_allowed: { status: 405, retryable: false, title: 'Method not allowed' },
  request_timeout: { status: 408, retryable: true, title: 'Request took too long to arrive' },
  superseded: { status: 409, retryable: false, title: 'Superseded by a newer registration' },
  cycle: { status: 409, retryable: false, title: 'Would make a cycle' },
  conflict: { status: 409, retryable: false, title: 'Conflict' },
  lease_token_required: { status: 409, retryable: false, title: 'Lease token required' },
  removed: { status: 410, retryable: false, title: 'Removed' },
  payload_too_large: { status: 413, retryable: false, title: 'Payload too large' },
  wrong_receiver: { status: 421, retryable: true, title: 'The address belongs to somebody else' },
  out_of_order: { status: 409, retryable: false, title: 'Later messages of its stream were handled already' },
  rate_limited: { status: 429, retryable: true, title: 'Too many at once' },
  inbox_full: { status: 429, retryable: true, title: 'Inbox full' },
  mailbox_full: { status: 429, retryable: true, title: 'Mailbox full' },
  unsupported_media_type: { status: 415, retryable: false, title: 'Unsupported media type' },
  headers_too_large: { status: 431, retryable: false, title: 'Request headers too large' },
  handler_failed: { status: 500, retryable: true, title: 'The handler of the message failed' },
  internal_error: { status: 500, retryable: false, title: 'Internal error' },
  store_unavailable: { status: 503, retryable: true, title: 'Store unavailable' },
  not_ready: { status: 503, retryable: true, title: 'Not ready' },
  no_handler: { status: 503, retryable: true, title: 'Nobody handles messages there' },
  expired: { status: 504, retryable: false, title: 'The deadline of the message has passed' },
  routing_loop: { status: 508, retryable: false, title: 'Too many hops, or a loop' },
  /** Made by clients only: no route led to the receiver in time, or the one at hand failed. */
  not_delivered: { status: 504, retryable: true, title: 'Not delivered' },
  /** Made by clients only: no registry answered. */
  registry_unreachable: { status: 503, retryable: true, title: 'Registry unreachable' },
  /** Made by clients only: a call on a client that was closed. */
  client_closed: { status: 409, retryable: false, title: 'Client closed' },
} satisfies Record<string, ErrorCodeTraits>);

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
