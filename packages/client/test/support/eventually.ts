import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;

/** Asks until it gets an answer that is not undefined or false; fails when that takes too long. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T> | T,
  deadlineMs = 30_000,
): Promise<Exclude<T, undefined | false>> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (performance.now() > endMs) throw new Error(`it took longer than ${deadlineMs} ms until ${what}`);
    await sleep(POLL_MS);
  }
}
