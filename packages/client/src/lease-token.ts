import { randomBytes } from 'node:crypto';

const TOKEN_BYTES = 16;

let token: string | undefined;

/** The secret of this process, by which a registry knows its registrations: one for all of them. */
export function processLeaseToken(): string {
  return (token ??= randomBytes(TOKEN_BYTES).toString('hex'));
}

let lastAttempt = 0;

/**
 * Counts registrations, so that a repeated or delayed one changes nothing. It starts from the clock, since a token
 * that is kept in a file is used by several processes, one after the other.
 */
export function nextAttempt(): number {
  lastAttempt = Math.max(lastAttempt + 1, Date.now());
  return lastAttempt;
}
