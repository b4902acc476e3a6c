import type {
  ClientOptions,
  NamespaceClient,
  NamespaceClientOptions,
  RegisterOptions,
} from '@membrane/client';
import type { Argv } from 'yargs';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { readDuration, type GlobalArguments } from './global-options.js';
import { parsePairs } from './pairs.js';

export const MODES = ['shared-volume', 'network', 'ipc'] as const;

/** The schema of a registration knows it too, but not in words. */
const MAX_WEIGHT = 1_000;

/** Of endpoints. */
const EXAMPLES = { network: 'http://10.0.0.7:8080', ipc: '/run/oven.sock' };

/** What a membrane says of itself, by flags. */
export interface RegistrationArguments extends GlobalArguments {
  parent: string | undefined;
  endpoint: string | undefined;
  mode: (typeof MODES)[number] | undefined;
  meta: string[] | undefined;
  instance: string | undefined;
  weight: string | undefined;
  relay: boolean | undefined;
  'heartbeat-interval': string | undefined;
  'health-check-url': string | undefined;
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
      relay: { type: 'boolean', description: 'what receives at --endpoint passes messages on to others' },
      'heartbeat-interval': {
        type: 'string',
        requiresArg: true,
        description: 'its pace: unhealthy after 2 missed, gone after 5 [5s]',
      },
      'health-check-url': {
        type: 'string',
        requiresArg: true,
        description: 'where a registry with health checks asks whether it is well',
      },
    });
}

/** The part that the client itself knows. */
export async function toClientOptions(args: RegistrationArguments): Promise<NamespaceClientOptions> {
  return {
    // What the command registers is received by others, or by nobody.
    receive: false,
    parent: args.parent,
    communicationMode: args.mode,
    instanceId: args.instance,
    heartbeatIntervalMs: await readInterval(args['heartbeat-interval']),
    ...(args.meta === undefined ? {} : { metadata: parsePairs(args.meta) }),
  };
}

async function readInterval(text: string | undefined): Promise<number | undefined> {
  const { LIMITS } = await import('@membrane/protocol');
  return readDuration('heartbeat-interval', text, {
    minMs: LIMITS.minHeartbeatIntervalMs,
    maxMs: LIMITS.maxHeartbeatIntervalMs,
    words: 'from 250ms to 1d',
  });
}

/**
 * The part that belongs to the registration alone.
 * @throws CommandError for what no registry would take.
 */
export async function toRegisterOptions(
  { endpoint, weight, relay, 'health-check-url': healthCheckUrl }: RegistrationArguments,
  { options }: Pick<NamespaceClient, 'options'>,
): Promise<RegisterOptions> {
  await checkEndpoint(endpoint, options);
  if (relay === true && endpoint === undefined) {
    // In an inbox directory, which is what it has then, nobody looks for messages to others.
    throw new CommandError(
      '--relay goes with --endpoint, the address of a program that passes messages on; `membrane receive --relay` does it by itself',
      EXIT_CODES.usage,
    );
  }
  if (healthCheckUrl !== undefined && !isHttpUrl(healthCheckUrl)) {
    throw new CommandError(
      `--health-check-url must be an http or https URL; got "${healthCheckUrl}"`,
      EXIT_CODES.usage,
    );
  }
  if (weight === undefined) return { endpoint, relay, healthCheckUrl };
  const share = weight.trim() === '' ? Number.NaN : Number(weight);
  if (share >= 0 && share <= MAX_WEIGHT) return { endpoint, relay, healthCheckUrl, weight: share };
  throw new CommandError(
    `--weight must be a number from 0 to ${MAX_WEIGHT}; got "${weight}"`,
    EXIT_CODES.usage,
  );
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

async function checkEndpoint(
  endpoint: string | undefined,
  { communicationMode, settings }: ClientOptions,
): Promise<void> {
  if (endpoint !== undefined) {
    const { registrationRequestSchema } = await import('@membrane/protocol');
    const { error } = registrationRequestSchema.shape.endpoint.safeParse(endpoint);
    if (error === undefined) return;
    throw new CommandError(
      `--endpoint ${error.issues[0]?.message ?? 'cannot be used'}; got "${endpoint}"`,
      EXIT_CODES.usage,
    );
  }
  // Only on the shared volume there is a place that follows from the id.
  if (communicationMode === 'shared-volume') return;
  const source = settings.find(({ name }) => name === 'communicationMode')?.source;
  const where = source === undefined || source === 'code' ? '' : ` (${source})`;
  throw new CommandError(
    `--endpoint must be given with the mode "${communicationMode}"${where}, as "${EXAMPLES[communicationMode]}"`,
    EXIT_CODES.usage,
  );
}
