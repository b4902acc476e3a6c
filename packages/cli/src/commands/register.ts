import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { CommandModule } from 'yargs';
import type { Lease, NamespaceClient, RegisterOptions } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { SIGNAL_EXIT_BASE, exitCodeOf } from '../exit-codes.js';
import { assertNamed, nameFlag, openClient, repeatFlags, type GlobalArguments } from '../global-options.js';
import { LeaseFile } from '../lease-file.js';
import { describeLease, formatMs, sayWhatHappens, sayWhatIsRefused } from '../lease-words.js';
import type { Output } from '../output.js';
import { refuseIfHeld } from '../refuse-if-held.js';
import {
  toClientOptions,
  toRegisterOptions,
  withRegistrationOptions,
  type RegistrationArguments,
} from '../registration-options.js';

/** How long Ctrl-C waits for the registry to hear of it. */
const FAREWELL_TIMEOUT_MS = 2_000;

interface RegisterArguments extends RegistrationArguments {
  'keep-alive': boolean;
  replace: boolean;
}

export function registerCommand(output: Output): CommandModule<GlobalArguments, RegisterArguments> {
  return {
    command: 'register [parent]',
    describe: 'register a membrane',
    builder: (parser) =>
      withRegistrationOptions(parser)
        .options({
          'keep-alive': {
            type: 'boolean',
            default: false,
            description: 'stay, and renew the lease, until Ctrl-C',
          },
          replace: {
            type: 'boolean',
            default: false,
            description: 'take the name from the process that has it',
          },
        })
        .example('$0 register house --id oven --endpoint http://10.0.0.7:8080', 'oven, below house, once')
        .example('$0 register --id oven --keep-alive', 'until Ctrl-C'),
    handler: async (args) => {
      await (args['keep-alive'] ? registerAndStay(args, output) : registerOnce(args, output));
    },
  };
}

async function registerOnce(args: RegisterArguments, output: Output): Promise<void> {
  const options = await toClientOptions(args);
  const asker = await openClient(args, options);
  const file = new LeaseFile(asker);
  let registerOptions: RegisterOptions;
  let leaseToken: string;
  let isOurs: boolean;
  try {
    assertNamed(asker);
    registerOptions = await toRegisterOptions(args, asker);
    const kept = await file.read();
    isOurs = kept !== undefined && (await isHeldBy(kept, args));
    if (!isOurs && !args.replace) await refuseIfHeld(asker);
    leaseToken = isOurs && kept !== undefined ? kept : randomBytes(16).toString('hex');
  } finally {
    await asker.close();
  }
  const client = await openClient(args, { ...options, leaseToken });
  try {
    // Before the registry has it, or nobody could renew what is registered.
    await file.write(leaseToken);
    const lease = await client.register(registerOptions).catch(async (error: unknown) => {
      // Unless the registry may have it, or it has an earlier registration by this token.
      if (!isOurs && isRefusal(error)) await file.remove();
      throw nameFlag(error);
    });
    await printLease(lease, args.json, output);
    output.say(
      `it lapses in ${formatMs(lease.expiresAfterMs)} unless it is renewed by \`membrane heartbeat ${repeatFlags(args, lease.id)}\`;` +
        ' `membrane register --keep-alive` and `membrane run -- CMD` renew it by themselves',
    );
  } finally {
    await client.close({ deregister: false });
  }
}

async function registerAndStay(args: RegisterArguments, output: Output): Promise<void> {
  const client = await openClient(args, await toClientOptions(args));
  const ended = new AbortController();
  let received: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      received = signal;
      ended.abort();
    });
  }
  let lease: Lease | undefined;
  let refusal: CommandError | undefined;
  let hasLeft = true;
  for (const event of ['superseded', 'removed'] as const) {
    client.on(event, ({ code, message }) => {
      refusal = new CommandError(message, exitCodeOf(code));
      ended.abort();
    });
  }
  try {
    const options = await toRegisterOptions(args, client);
    if (!args.replace) await refuseIfHeld(client, ended.signal);
    lease = await client.register({ ...options, signal: ended.signal });
    sayWhatHappens(client, output);
    sayWhatIsRefused(client, output);
    await printLease(lease, args.json, output);
    output.say('it is renewed until Ctrl-C');
    if (!ended.signal.aborted) await once(ended.signal, 'abort');
    if (refusal === undefined) hasLeft = await leave(client);
  } catch (error) {
    if (!ended.signal.aborted) throw nameFlag(error);
  } finally {
    await client.close({ signal: AbortSignal.timeout(FAREWELL_TIMEOUT_MS) });
  }
  if (refusal !== undefined) throw refusal;
  if (lease === undefined && received !== undefined) {
    throw new CommandError(
      `"${client.id}" was not registered: ${received} came before an answer`,
      SIGNAL_EXIT_BASE + constants.signals[received],
    );
  }
  if (hasLeft) output.say(`"${client.id}" has left`);
  else output.say(`no registry heard that "${client.id}" leaves; it lapses by itself`);
}

/** False where no registry heard of it in time. */
async function leave(client: NamespaceClient): Promise<boolean> {
  try {
    await client.deregister({ signal: AbortSignal.timeout(FAREWELL_TIMEOUT_MS) });
    return true;
  } catch {
    return false;
  }
}

/** True where a registry certainly made no registration. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'retryable' in error && error.retryable === false;
}

/** True where the live registration was made with this token. */
async function isHeldBy(leaseToken: string, args: RegisterArguments): Promise<boolean> {
  const client = await openClient(args, { instanceId: args.instance, leaseToken });
  try {
    await client.heartbeat();
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'not_registered' || code === 'superseded' || code === 'removed') return false;
    throw error;
  } finally {
    await client.close({ deregister: false });
  }
}

async function printLease(lease: Lease, json: boolean, output: Output): Promise<void> {
  if (!json) {
    output.data(`registered ${describeLease(lease)}`);
    return;
  }
  const { toWire } = await import('@membrane/protocol');
  output.data(JSON.stringify(toWire<unknown>(lease)));
}
