import type { IncomingMessage, ServerResponse } from 'node:http';
import type { MembraneError } from '@membrane/protocol';
import type { Answer } from './answer.js';
import type { CallRunner } from './call-runner.js';

/** How something that waits says that it is over, or why it failed. */
export type Tell = (error?: MembraneError) => void;

/** Answers a call when what it waits for has come. Whoever leaves before is forgotten. */
export function answerLater(
  runner: CallRunner,
  request: IncomingMessage,
  response: ServerResponse,
  wait: (signal: AbortSignal, tell: Tell) => void,
  call: () => Answer | undefined | Promise<Answer | undefined>,
): void {
  const gone = new AbortController();
  response.once('close', () => {
    gone.abort();
  });
  wait(gone.signal, (error) => {
    if (error === undefined) runner.answer(request, response, call);
    else runner.fail(request, response, error);
  });
}
