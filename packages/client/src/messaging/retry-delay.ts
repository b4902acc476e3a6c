const BASE_MS = 50;
const MAX_MS = 2_000;

/**
 * How long to wait before the next try, in milliseconds: exponential backoff with full jitter, and no sooner than half
 * of what the other end asked for. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
export function retryDelayMs(
  failures: number,
  retryAfterMs: number | undefined,
  random: () => number,
): number {
  const bound = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(failures - 1, 10));
  const asked = Math.min(retryAfterMs ?? 0, MAX_MS);
  return Math.max(random() * bound, asked * (1 - 0.5 * random()));
}
