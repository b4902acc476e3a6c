import { hash } from 'node:crypto';

/**
 * What is kept of a lease token. It has 128 random bits, so a plain hash cannot be guessed back; null where there
 * is no token.
 */
export function hashToken(token: string | null | undefined): string | null {
  return token == null ? null : hash('sha256', token, 'base64url');
}
