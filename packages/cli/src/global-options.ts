import type { Argv } from 'yargs';
import type { RegistryApi } from '@membrane/client';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';

export interface GlobalArguments {
  json: boolean;
  'registry-url': string | undefined;
  namespace: string | undefined;
  timeout: string | undefined;
}

/** Flags that every verb takes. */
export function withGlobalOptions<T>(parser: Argv<T>): Argv<T & GlobalArguments> {
  return parser.options({
    json: { type: 'boolean', default: false, description: 'print JSON', global: true },
    'registry-url': {
      type: 'string',
      requiresArg: true,
      description: 'where the registry is (MEMBRANE_REGISTRY_URL) [http://127.0.0.1:8765]',
      global: true,
    },
    namespace: {
      type: 'string',
      requiresArg: true,
      description: 'which namespace (MEMBRANE_NAMESPACE) [default]',
      global: true,
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      description: 'how long a call may take, as "500ms" or "5s" [10s]',
      global: true,
    },
  }) as Argv<T & GlobalArguments>;
}

/** The registry that the flags, the environment and the defaults name. */
export async function openRegistryApi(args: GlobalArguments): Promise<RegistryApi> {
  const { parseDurationMs } = await import('@membrane/protocol');
  const timeoutMs = args.timeout === undefined ? undefined : parseDurationMs(args.timeout);
  if (args.timeout !== undefined && (timeoutMs === undefined || timeoutMs === 0)) {
    throw new CommandError(
      `--timeout must be a duration as "500ms" or "5s"; got "${args.timeout}"`,
      EXIT_CODES.usage,
    );
  }
  const { RegistryApi } = await import('@membrane/client');
  return new RegistryApi({
    ...(args['registry-url'] === undefined ? {} : { registryUrl: args['registry-url'] }),
    ...(args.namespace === undefined ? {} : { namespace: args.namespace }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}
