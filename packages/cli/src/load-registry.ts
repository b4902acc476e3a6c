import type * as registry from '@membrane/registry';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';

export type RegistryPackage = typeof registry;

/** The registry, an optional package: loaded by the verbs that run one, and by no other. */
export async function loadRegistry(): Promise<RegistryPackage> {
  try {
    return await import('@membrane/registry');
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND';
    if (!missing || !cause.message.includes("'@membrane/registry'")) throw cause;
    throw new CommandError(
      'this needs the package @membrane/registry, which is not installed: npm install @membrane/registry',
      EXIT_CODES.usage,
      { cause },
    );
  }
}
