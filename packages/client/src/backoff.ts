const BASE_MS = 500;

/** The longest wait between two tries, whatever has failed before. */
export const MAX_BACKOFF_MS = 5_000;

/** How long one who lost a registration waits at most before the first try to get it back. */
export const MAX_REGISTRATION_SPREAD_MS = 5_000;

export interface BackoffInput {
  /** Tries that failed in a row, at least 1. */
  readonly failures: number;
  /** Of the lease that waits: nobody waits longer than it takes to fall silent. */
  readonly intervalMs: number;
  /** What the registry asked for. */
  readonly retryAfterMs: number | undefined;
}

/**
 * Exponential backoff with full jitter: a random part of a bound that doubles, so that clients which lost a registry
 * together do not come back together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
export function backoffMs(
  { failures, intervalMs, retryAfterMs = 0 }: BackoffInput,
  random: () => number,
): number {
  const bound = Math.min(MAX_BACKOFF_MS, intervalMs, BASE_MS * 2 ** Math.min(failures - 1, 10));
  const asked = Math.min(retryAfterMs, MAX_BACKOFF_MS, intervalMs);
  // Who was asked to wait waits at least so long, and does not come at the same moment as all others either.
  return Math.max(random() * bound, asked * (1 - 0.5 * random()));
}
