import { OperatorError } from '../operator-error.js';

/** Why a port cannot be listened on, in words for an operator. */
export function explainListenError(error: unknown, host: string, port: number): Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const explanations: Record<string, string> = {
    EADDRINUSE: `port ${port} on ${host} is in use; choose another with --port or MEMBRANE_REGISTRY_PORT`,
    EACCES: `port ${port} on ${host} needs rights that this user has not; choose one above 1023 with --port`,
    EADDRNOTAVAIL: `${host} is no address of this machine; choose another with --host or MEMBRANE_REGISTRY_HOST`,
    ENOTFOUND: `the host ${host} is not known; choose an address with --host or MEMBRANE_REGISTRY_HOST`,
  };
  const explanation = explanations[String(code)] ?? `cannot listen on ${host}:${port}: ${String(error)}`;
  return new OperatorError(explanation, { cause: error });
}
