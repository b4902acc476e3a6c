import { once } from 'node:events';
import type { CommandModule } from 'yargs';
import type { Message, NamespaceClient } from '@membrane/client';
import { abortWhenTold } from '../abort-when-told.js';
import { CommandError } from '../command-error.js';
import { EXIT_CODES, exitCodeOf } from '../exit-codes.js';
import { nameFlag, type GlobalArguments } from '../global-options.js';
import { sayWhatHappens, sayWhatIsRefused } from '../lease-words.js';
import { runForMessage } from '../message-command.js';
import { openWithLease } from '../open-with-lease.js';
import { formatPayload, toPrintable, type Output } from '../output.js';
import { isReaderGone } from '../reader-gone.js';
import { refuseIfHeld } from '../refuse-if-held.js';

/** How long the end waits for the registry to hear of it. */
const FAREWELL_TIMEOUT_MS = 2_000;

interface ReceiveArguments extends GlobalArguments {
  parent: string | undefined;
  instance: string | undefined;
  type: string | undefined;
  stream: string | undefined;
  count: number | undefined;
  exec: string | undefined;
  relay: boolean | undefined;
  replace: boolean;
}

export function receiveCommand(
  output: Output,
  exit: { code: number },
): CommandModule<GlobalArguments, ReceiveArguments> {
  return {
    command: 'receive [parent]',
    describe: 'register, and print the messages that come',
    builder: (parser) =>
      parser
        .positional('parent', { type: 'string', description: 'below whom (MEMBRANE_PARENT) [a root]' })
        .options({
          instance: { type: 'string', requiresArg: true, description: 'which replica it is [default]' },
          type: { type: 'string', requiresArg: true, description: 'only messages of this type' },
          stream: { type: 'string', requiresArg: true, description: 'only messages of this stream' },
          count: { type: 'number', requiresArg: true, description: 'leave after so many' },
          exec: {
            type: 'string',
            requiresArg: true,
            description:
              'run this shell command for each, the payload on its standard input; what it prints is the reply',
          },
          relay: { type: 'boolean', description: 'pass messages on between membranes that share no way' },
          replace: {
            type: 'boolean',
            default: false,
            description: 'take the name from the process that has it',
          },
        })
        .example('$0 receive --id oven', 'a line a message, until Ctrl-C; what waited comes first')
        .example('$0 receive --id oven --exec ./cook.sh', 'run a program for each'),
    handler: async (args) => {
      checkArguments(args);
      const { client } = await openWithLease(
        args,
        { instanceId: args.instance },
        // What is more than the count is left where it waits.
        args.count === undefined ? {} : { messaging: { maxInboxMessages: 1 } },
      );
      await receive(client, args, output, exit);
    },
  };
}

async function receive(
  client: NamespaceClient,
  args: ReceiveArguments,
  output: Output,
  exit: { code: number },
): Promise<void> {
  const ended = new AbortController();
  abortWhenTold(ended);
  let refusal: CommandError | undefined;
  for (const event of ['superseded', 'removed'] as const) {
    client.on(event, ({ code, message }) => {
      refusal = new CommandError(message, exitCodeOf(code));
      ended.abort();
    });
  }
  client.on('receiverFailed', ({ message }) => {
    output.say(`membrane: ${message}`);
  });
  let left = args.count ?? Number.POSITIVE_INFINITY;
  const isEnding = (): boolean => ended.signal.aborted;
  let running: Promise<unknown> = Promise.resolve();
  const handle = (message: Message): Promise<unknown> => (running = handleOne(message));
  const handleOne = async (message: Message): Promise<unknown> => {
    if (isEnding()) throw await leaving();
    try {
      const reply = await handleMessage(message, args, output, ended.signal);
      left -= 1;
      if (left <= 0) ended.abort();
      return reply;
    } catch (error) {
      // The reader of a pipe may go: that ends the command, and not the message.
      if (isReaderGone(error)) ended.abort();
      if (isEnding()) throw await leaving();
      sayFailure(message, error, output);
      throw error;
    }
  };
  try {
    if (!args.replace) await refuseIfHeld(client, ended.signal);
    const { type, stream } = args;
    // One at a time: lines of several would mix, and a count would be passed.
    const stop = client.onMessage(handle, { type, stream, concurrency: 1 });
    // At once: what has not begun goes back to where it waited.
    ended.signal.addEventListener('abort', stop);
    await client.register({ parent: args.parent, relay: args.relay, signal: ended.signal });
    sayWhatHappens(client, output);
    sayWhatIsRefused(client, output);
    if (output.isTerminal) output.say(`"${client.id}" receives, until ${describeEnd(args)}`);
    if (!ended.signal.aborted) await once(ended.signal, 'abort');
  } catch (error) {
    if (!ended.signal.aborted) throw nameFlag(error);
  } finally {
    const signal = AbortSignal.timeout(FAREWELL_TIMEOUT_MS);
    // What became of the last one is told while the name is still held.
    await Promise.race([running.catch(() => undefined), once(signal, 'abort')]);
    await client.close({ signal });
  }
  if (refusal !== undefined) throw refusal;
  if (Number.isFinite(left) && left > 0) exit.code = EXIT_CODES.failed;
}

async function handleMessage(
  message: Message,
  { json, exec }: ReceiveArguments,
  output: Output,
  signal: AbortSignal,
): Promise<unknown> {
  if (exec !== undefined) return runForMessage(exec, message, signal);
  if (json) {
    const { toWire } = await import('@membrane/protocol');
    await output.write(JSON.stringify(toWire<unknown>(message)));
  } else {
    const sender = output.isTerminal ? `${toPrintable(message.sender)}: ` : '';
    await output.write(`${sender}${formatPayload(message.payload, output)}`);
  }
  return undefined;
}

async function leaving(): Promise<Error> {
  const { giveBack } = await import('@membrane/client');
  return giveBack('the receiver is leaving');
}

function sayFailure({ id, sender }: Message, error: unknown, output: Output): void {
  const why = error instanceof Error ? error.message : String(error);
  output.say(`membrane: message ${id} of "${sender}" failed: ${why}`);
}

function describeEnd({ count }: ReceiveArguments): string {
  return count === undefined ? 'Ctrl-C' : count === 1 ? 'a message came' : `${count} messages came`;
}

function checkArguments({ count, type, stream, exec }: ReceiveArguments): void {
  if (count !== undefined && !(Number.isInteger(count) && count > 0)) {
    throw new CommandError('--count must be a whole number above 0', EXIT_CODES.usage);
  }
  for (const [flag, value] of Object.entries({ type, stream, exec })) {
    if (value === '') throw new CommandError(`--${flag} must not be empty`, EXIT_CODES.usage);
  }
}
