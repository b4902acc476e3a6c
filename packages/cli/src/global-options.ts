import type { Argv } from 'yargs';
import type { NamespaceClient, NamespaceClientOptions } from '@membrane/client';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';

export interface GlobalArguments {
  json: boolean;
  'registry-url': string | undefined;
  namespace: string | undefined;
  id: string | undefined;
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
    id: {
      type: 'string',
      requiresArg: true,
      description: 'who you are (MEMBRANE_ID)',
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

/** Hides from the help of a verb what it has no use for, and refuses it: it would be taken for heard. */
export function withoutFlags<T>(
  parser: Argv<T>,
  verb: string,
  flags: readonly (keyof GlobalArguments)[],
): Argv<T> {
  for (const flag of flags) parser.hide(flag);
  return parser.check((args: Readonly<Record<string, unknown>>) => {
    const given = flags.find((flag) => args[flag] !== undefined);
    if (given === undefined) return true;
    throw new CommandError(
      `--${given} has no meaning for \`membrane ${verb}\`; see membrane ${verb} --help`,
      EXIT_CODES.usage,
    );
  });
}

/** What the flag is called that gives an option of the client. */
const FLAGS: Readonly<Record<string, string>> = {
  id: '--id',
  registryUrl: '--registry-url',
  namespace: '--namespace',
  instanceId: '--instance',
  parent: 'the parent',
  metadata: '--meta',
  timeoutMs: '--timeout',
  communicationMode: '--mode',
  endpoint: '--endpoint',
  weight: '--weight',
  type: '--type',
  stream: '--stream',
};

/**
 * The client that the flags, the environment, the config file and the defaults describe.
 * @throws CommandError for a flag that cannot be used; MembraneError for what stands elsewhere.
 */
export async function openClient(
  args: GlobalArguments,
  options: NamespaceClientOptions & { id?: string | undefined } = {},
): Promise<NamespaceClient> {
  const { id = args.id, ...rest } = options;
  const { createNamespaceClient } = await import('@membrane/client');
  const given = {
    registryUrl: args['registry-url'],
    namespace: args.namespace,
    timeoutMs: await readDuration('timeout', args.timeout, TIMEOUT_RANGE),
    // A command asks once: what it prints is what there is now.
    cache: false as const,
    ...rest,
  };
  try {
    return createNamespaceClient(id, given);
  } catch (error) {
    // A verb gives an id of its own where that was no flag.
    throw nameFlag(error, options.id === undefined ? FLAGS : { ...FLAGS, id: 'the name' });
  }
}

/** The same error about the flag, where it is about an option of the client that a flag gave. */
export function nameFlag(error: unknown, flags = FLAGS): unknown {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'invalid_request') return error;
  const [option = '', ...words] = error.message.split(' ');
  const flag = flags[option];
  // A key of a config file is followed by `in FILE`.
  if (flag === undefined || words[0] === 'in') return error;
  return new CommandError([flag, ...words].join(' '), EXIT_CODES.usage, { cause: error });
}

/** The flags to repeat in a later command about the same registration. */
export function repeatFlags(args: GlobalArguments & { instance?: string | undefined }, id: string): string {
  const flags = ['namespace', 'instance', 'registry-url'] as const;
  const given = flags.flatMap((flag) => (args[flag] === undefined ? [] : [`--${flag} ${args[flag]}`]));
  return [`--id ${id}`, ...given].join(' ');
}

/** What a duration may be, in milliseconds, and in words. */
export interface DurationRange {
  readonly minMs: number;
  readonly maxMs: number;
  readonly words: string;
}

/** As long as the client takes. */
const TIMEOUT_RANGE: DurationRange = { minMs: 1, maxMs: 24 * 60 * 60 * 1_000, words: 'from 1ms to 1d' };

/** Milliseconds of a flag; undefined where it was not given. */
export async function readDuration(
  flag: string,
  text: string | undefined,
  { minMs, maxMs, words }: DurationRange,
): Promise<number | undefined> {
  if (text === undefined) return undefined;
  const { parseDurationMs } = await import('@membrane/protocol');
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
  throw new CommandError(`--${flag} must be a duration ${words}, as "5s"; got "${text}"`, EXIT_CODES.usage);
}

/** False where the id was made up for this command. */
export function isNamed({ options }: NamespaceClient): boolean {
  return options.settings.some(({ name, source }) => name === 'id' && source !== 'default');
}

/** Whom the command is about, where that cannot be guessed. */
export function assertNamed(client: NamespaceClient): void {
  if (isNamed(client)) return;
  throw new CommandError(
    'which membrane? name it by --id, by MEMBRANE_ID, or as membraneId in a config file',
    EXIT_CODES.usage,
  );
}
