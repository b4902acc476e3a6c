import { MembraneError } from '@membrane/protocol';
import { waitWithSignal } from '../abort.js';
import type { Clock } from '../clock.js';

interface TimeToAsk {
  readonly clock: Clock;
  /** By that clock. */
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal;
  /** What to reject with at the deadline, unless it is just that. */
  readonly toLateError?: (cause: MembraneError) => MembraneError;
}

/**
 * Asks a registry for one message, no longer than the message has time and is wanted.
 * @param ask its signal ends with the wait; a question that others wait for too may go on.
 * @throws MembraneError `registry_unreachable` at the deadline; the reason of the signal.
 */
export async function askInTime<Answer>(
  ask: (signal: AbortSignal) => Promise<Answer>,
  { clock, deadlineAtMs, signal, toLateError = (cause) => cause }: TimeToAsk,
): Promise<Answer> {
  signal.throwIfAborted();
  const limit = new AbortController();
  const timer = clock.setTimer(
    () => {
      limit.abort(toLateError(new MembraneError('registry_unreachable', 'the registry did not answer')));
    },
    Math.max(0, deadlineAtMs - clock.monotonicMs()),
  );
  const abort = (): void => limit.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await waitWithSignal(ask(limit.signal), limit.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', abort);
  }
}
