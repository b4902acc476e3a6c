/** What a script can tell from the exit of `membrane`. */
export const EXIT_CODES = Object.freeze({
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  refused: 5,
  notDelivered: 6,
});

/** As shells have it: what a signal ended exits by this and its number. */
export const SIGNAL_EXIT_BASE = 128;

const BY_ERROR_CODE: Readonly<Record<string, number>> = {
  invalid_request: EXIT_CODES.usage,
  registry_unreachable: EXIT_CODES.unreachable,
  not_found: EXIT_CODES.notFound,
  not_registered: EXIT_CODES.notFound,
  superseded: EXIT_CODES.refused,
  conflict: EXIT_CODES.refused,
  cycle: EXIT_CODES.refused,
  lease_token_required: EXIT_CODES.refused,
  removed: EXIT_CODES.refused,
  forbidden: EXIT_CODES.refused,
  not_delivered: EXIT_CODES.notDelivered,
  expired: EXIT_CODES.notDelivered,
  inbox_full: EXIT_CODES.notDelivered,
  mailbox_full: EXIT_CODES.notDelivered,
  no_handler: EXIT_CODES.notDelivered,
};

/** The exit code for an error code of the protocol. */
export function exitCodeOf(errorCode: string): number {
  return BY_ERROR_CODE[errorCode] ?? EXIT_CODES.failed;
}
