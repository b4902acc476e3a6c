import { MembraneError, type DeliveryAttempt } from '@membrane/protocol';
import type { Route } from './route.js';

/** Tries that results and errors tell of, and skipped endpoints beside them. */
const MAX_ATTEMPTS = 32;

/** What was tried for one message, the last few tries. */
export class AttemptLog {
  /** Most messages need none. */
  #attempts: DeliveryAttempt[] | undefined;

  failed(target: string, route: Route, { code, message }: MembraneError): void {
    this.#add({ ...describe(target, route, code), reason: message });
  }

  /** Told once, however often it is planned. */
  skipped(attempts: readonly DeliveryAttempt[]): void {
    for (const attempt of attempts) {
      const isKnown = this.#attempts?.some(
        ({ route, address, result }) =>
          result === 'skipped' && route === attempt.route && address === attempt.address,
      );
      if (isKnown !== true) this.#add(attempt);
    }
  }

  /** All of them, the successful one last. */
  succeeded(target: string, route: Route, outcome: string): readonly DeliveryAttempt[] {
    const attempt = describe(target, route, outcome);
    return this.#attempts === undefined ? [attempt] : [...this.#attempts, attempt];
  }

  /** The same error, with what was tried. */
  explain(error: MembraneError): MembraneError {
    const details = { ...error.details, attempts: [...(this.#attempts ?? [])] };
    return new MembraneError(error.code, error.message, { details, cause: error.cause });
  }

  #add(attempt: DeliveryAttempt): void {
    this.#attempts ??= [];
    this.#attempts.push(attempt);
    if (this.#attempts.length > MAX_ATTEMPTS) this.#attempts.shift();
  }
}

function describe(
  target: string,
  { kind: route, address, instanceId }: Route,
  result: string,
): DeliveryAttempt {
  return instanceId === undefined
    ? { route, address, target, result }
    : { route, address, target, instanceId, result };
}
