import type { Delivery, DeliveryAttempt, NamespaceClient, SendOptions } from '@membrane/client';
import type { Argv } from 'yargs';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { isNamed, nameFlag, openClient, readDuration, type GlobalArguments } from './global-options.js';
import { toPrintable, type Output } from './output.js';
import { formatMs } from './lease-words.js';
import { readPayload } from './payload.js';
import { adviseOnSilence } from './silence.js';

const OUTCOMES = ['queued', 'accepted', 'processed'] as const;

/** The deadline of a message. */
const DEADLINE_RANGE = { minMs: 1, maxMs: 7 * 24 * 60 * 60 * 1_000, words: 'from 1ms to 7d' };

/** What the verbs that send have in common. */
export interface MessageArguments extends GlobalArguments {
  target: string;
  message: string;
  'json-payload': boolean;
  type: string | undefined;
  stream: string | undefined;
  debug: boolean;
}

export interface WaitArguments extends MessageArguments {
  'wait-for': (typeof OUTCOMES)[number] | undefined;
}

export function withMessageOptions(parser: Argv<GlobalArguments>, target: string): Argv<MessageArguments> {
  return parser
    .positional('target', { type: 'string', demandOption: true, description: target })
    .positional('message', {
      type: 'string',
      demandOption: true,
      description:
        'a text; @FILE for what is in a file, - for standard input (also for a text that begins with -), @@… for one that begins with @',
    })
    .options({
      'json-payload': { type: 'boolean', default: false, description: 'the message is JSON, not a text' },
      type: { type: 'string', requiresArg: true, description: 'by which handlers choose' },
      stream: {
        type: 'string',
        requiresArg: true,
        description: 'messages of one stream are handled in their order',
      },
      debug: { type: 'boolean', default: false, description: 'say what was tried' },
      timeout: {
        type: 'string',
        requiresArg: true,
        description: 'its deadline, also where it is kept for a receiver that is away [30s]',
      },
    });
}

export function withWaitOption(parser: Argv<MessageArguments>): Argv<WaitArguments> {
  return parser.option('wait-for', {
    choices: OUTCOMES,
    requiresArg: true,
    description: 'until it is kept durably, in memory there, or handled [the strongest that the way gives]',
  });
}

/** What was sent, and how long it had, in milliseconds. */
interface Sent<Result> {
  readonly result: Result;
  readonly timeoutMs: number;
}

/** Sends by what the flags say, and tells what was tried. */
export async function withMessage<Result>(
  args: MessageArguments,
  output: Output,
  send: (client: NamespaceClient, payload: never, options: SendOptions) => Promise<Result>,
  { isToMany = false } = {},
): Promise<Sent<Result>> {
  const payload = await readPayload(args.message, args['json-payload']);
  const given = await readDuration('timeout', args.timeout, DEADLINE_RANGE);
  const { type, stream } = args;
  // The time is that of the message; a call to the registry has its own.
  const client = await openClient({ ...args, timeout: undefined });
  try {
    await assertSeenFromSomebody(args.target, client, isToMany);
    const timeoutMs = given ?? client.options.messaging.sendTimeoutMs;
    return { result: await send(client, payload as never, { timeoutMs, type, stream }), timeoutMs };
  } catch (error) {
    if (args.debug) sayAttempts(attemptsOf(error), output);
    throw explain(error, args);
  } finally {
    await client.close();
  }
}

/** Says in words where a message is now, and for how long. */
export function describeDelivery({ target, outcome, route }: Delivery, timeoutMs: number): string {
  const name = `"${target}"`;
  const way = route.kind === 'relay' ? `by way of "${route.address}"` : `by ${route.kind}`;
  if (outcome === 'processed') {
    return route.kind === 'unknown' ? `${name} has handled it` : `${name} has handled it, ${way}`;
  }
  if (outcome === 'accepted') return `${name} has it, ${way}`;
  const where = route.kind === 'mailbox' ? 'the registry keeps it' : `it lies in ${route.address}`;
  return `queued: ${where} for ${name}, for ${formatMs(timeoutMs)} at most`;
}

export function sayAttempts(attempts: readonly DeliveryAttempt[], output: Output): void {
  for (const { route, address, target, instanceId, result, reason } of attempts) {
    const instance = instanceId === undefined || instanceId === 'default' ? '' : ` (${instanceId})`;
    const why = reason === undefined ? '' : `: ${reason}`;
    output.say(`membrane: ${route} ${address} to "${target}"${instance}: ${result}${why}`);
  }
}

/** A name that was made up for this command has no place in the tree, from which a target could be seen. */
async function assertSeenFromSomebody(
  target: string,
  client: NamespaceClient,
  isToMany: boolean,
): Promise<void> {
  if (!target.startsWith('@') || isNamed(client)) return;
  const { isGroupTarget, parseTarget } = await import('@membrane/protocol');
  const parsed = parseTarget(target);
  // What is wrong with it otherwise is for the client to say.
  if (isGroupTarget(parsed) && !isToMany) return;
  const isSeenFromSender =
    ['out', 'child', 'children', 'siblings'].includes(parsed.kind) ||
    (parsed.kind === 'subtree' && parsed.id === undefined);
  if (!isSeenFromSender) return;
  throw new CommandError(
    `${target} is seen from its sender, so say who you are: by --id, by MEMBRANE_ID, or as membraneId in a config file`,
    EXIT_CODES.usage,
  );
}

function attemptsOf(error: unknown): readonly DeliveryAttempt[] {
  if (!(error instanceof Error) || !('details' in error)) return [];
  return (error.details as { attempts?: readonly DeliveryAttempt[] }).attempts ?? [];
}

/** What to do next, where that is known. */
function explain(error: unknown, { target }: MessageArguments): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const name = toPrintable(target);
  const { cause } = error;
  if (error.code === 'not_found' && !target.startsWith('@')) {
    const message = `no membrane "${name}" is registered, or was lately; \`membrane list\` shows who is there`;
    return new CommandError(message, EXIT_CODES.notFound, { cause: error });
  }
  if (error.code === 'invalid_request' && error.message.startsWith('target ')) {
    return new CommandError(error.message, EXIT_CODES.usage, { cause: error });
  }
  if (error.code === 'handler_failed') {
    return new CommandError(`"${name}" could not handle it: ${error.message}`, EXIT_CODES.failed, {
      cause: error,
    });
  }
  if (cause instanceof Error && 'code' in cause && cause.code === 'registry_unreachable') {
    const message = `${error.message}: ${adviseOnSilence(cause)}`;
    return new CommandError(message, EXIT_CODES.unreachable, { cause: error });
  }
  return nameFlag(error);
}
