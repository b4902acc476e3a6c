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
  unsupported_media_type: { status: 415, retryable: false, title: 'Unsupported media type' },
  headers_too_large: { status: 431, retryable: false, title: 'Request headers too large' },
  internal_error: { status: 500, retryable: false, title: 'Internal error' },
  store_unavailable: { status: 503, retryable: true, title: 'Store unavailable' },
  not_ready: { status: 503, retryable: true, title: 'Not ready' },
  /** Made by clients only: no registry answered. */
  registry_unreachable: { status: 503, retryable: true, title: 'Registry unreachable' },
  /** Made by clients only: a call on a client that was closed. */
  client_closed: { status: 409, retryable: false, title: 'Client closed' },
} satisfies Record<string, ErrorCodeTraits>);

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
