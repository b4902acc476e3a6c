import type { NamespaceClientOptions, RegisterOptions } from '@membrane/client';
import type { Argv } from 'yargs';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { readDuration, type GlobalArguments } from './global-options.js';
import { parsePairs } from './pairs.js';

export const MODES = ['shared-volume', 'network', 'ipc'] as const;

/** What a membrane says of itself, by flags. */
export interface RegistrationArguments extends GlobalArguments {
  parent: string | undefined;
  endpoint: string | undefined;
  mode: (typeof MODES)[number] | undefined;
  meta: string[] | undefined;
  instance: string | undefined;
  weight: string | undefined;
  'heartbeat-interval': string | undefined;
}

export function withRegistrationOptions(parser: Argv<GlobalArguments>): Argv<RegistrationArguments> {
  return parser
    .positional('parent', { type: 'string', description: 'below whom (MEMBRANE_PARENT) [a root]' })
    .options({
      endpoint: { type: 'string', requiresArg: true, description: 'address at which others reach it' },
      mode: {
        choices: MODES,
        requiresArg: true,
        description: 'how others reach it (MEMBRANE_COMMUNICATION_MODE) [shared-volume]',
      },
      meta: { type: 'array', string: true, requiresArg: true, description: 'KEY=VALUE of its metadata' },
      instance: { type: 'string', requiresArg: true, description: 'which replica it is [default]' },
      weight: { type: 'string', requiresArg: true, description: 'share of the load among replicas [1]' },
      'heartbeat-interval': {
        type: 'string',
        requiresArg: true,
        description: 'its pace: unhealthy after 2 missed, gone after 5 [5s]',
      },
    });
}

/** The part that the client itself knows. */
export async function toClientOptions(args: RegistrationArguments): Promise<NamespaceClientOptions> {
  return {
    parent: args.parent,
    communicationMode: args.mode,
    instanceId: args.instance,
    heartbeatIntervalMs: await readInterval(args['heartbeat-interval']),
    ...(args.meta === undefined ? {} : { metadata: parsePairs(args.meta) }),
  };
}

async function readInterval(text: string | undefined): Promise<number | undefined> {
  const intervalMs = await readDuration('heartbeat-interval', text);
  if (intervalMs === undefined) return undefined;
  const { LIMITS } = await import('@membrane/protocol');
  if (intervalMs >= LIMITS.minHeartbeatIntervalMs && intervalMs <= LIMITS.maxHeartbeatIntervalMs) {
    return intervalMs;
  }
  throw new CommandError(
    `--heartbeat-interval must be a duration from 250ms to 1d, as "5s"; got "${text ?? ''}"`,
    EXIT_CODES.usage,
  );
}

/** The part that belongs to the registration alone. */
export function toRegisterOptions({ endpoint, weight }: RegistrationArguments): RegisterOptions {
  if (weight === undefined) return { endpoint };
  if (weight.trim() === '' || !Number.isFinite(Number(weight))) {
    throw new CommandError(`--weight must be a number from 0 to 1000; got "${weight}"`, EXIT_CODES.usage);
  }
  return { endpoint, weight: Number(weight) };
}
