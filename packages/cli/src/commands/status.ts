import type { CommandModule } from 'yargs';
import type { ClientStatus, Setting } from '@membrane/client';
import { CommandError } from '../command-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { openClient, type GlobalArguments } from '../global-options.js';
import { formatMs } from '../lease-words.js';
import { colorStatus, formatAge, hideCredentials, toPrintable, type Output } from '../output.js';

interface StatusArguments extends GlobalArguments {
  instance: string | undefined;
}

export function statusCommand(output: Output): CommandModule<GlobalArguments, StatusArguments> {
  return {
    command: 'status',
    describe: 'who you are, where each setting comes from, and how the lease is',
    builder: (parser) =>
      parser
        .options({
          instance: { type: 'string', requiresArg: true, description: 'which replica of it [default]' },
        })
        .example('$0 status --id oven', 'exits by 4 where it is not registered'),
    handler: async (args) => {
      const client = await openClient(args, { instanceId: args.instance });
      try {
        const status = await client.status();
        if (args.json) output.data(JSON.stringify(await toJson(status)));
        else printStatus(status, output);
        if (status.registry.error !== undefined) throw status.registry.error;
        if (instanceOf(status) === undefined) {
          throw new CommandError(`"${status.id}" is not registered`, EXIT_CODES.notFound);
        }
      } finally {
        await client.close();
      }
    },
  };
}

/** The registration of this id and instance, as the registry has it. */
function instanceOf({ membrane, instanceId }: ClientStatus) {
  return membrane?.instances.find((instance) => instance.instanceId === instanceId);
}

function leaseAgeMs(status: ClientStatus): number | null {
  const instance = instanceOf(status);
  return instance === undefined ? null : Math.max(0, Date.now() - instance.lastHeartbeat * 1_000);
}

async function toJson(status: ClientStatus): Promise<object> {
  const { toWire } = await import('@membrane/protocol');
  const { url, status: registry } = status.registry;
  return {
    id: status.id,
    namespace: status.namespace,
    instance_id: status.instanceId,
    registered: status.registry.error === undefined ? instanceOf(status) !== undefined : null,
    lease_age_ms: leaseAgeMs(status),
    membrane: toWire<unknown>(instanceOf(status) ?? null),
    registry: {
      url: hideCredentials(url),
      reachable: registry !== undefined,
      status: toWire<unknown>(registry ?? null),
    },
    settings: status.settings.map((setting) => ({
      ...setting,
      value: typeof setting.value === 'string' ? hideCredentials(setting.value) : setting.value,
      source: sourceOf(setting),
    })),
  };
}

function printStatus(status: ClientStatus, output: Output): void {
  const { settings, registry } = status;
  const lines: [string, string, string][] = settings.map((setting) => [
    setting.name,
    setting.value === null ? '-' : toPrintable(hideCredentials(String(setting.value))),
    `(${sourceOf(setting)})`,
  ]);
  const reached =
    registry.status === undefined
      ? `not reached: ${registry.error?.message ?? ''}`
      : `${registry.status.registryId} at ${registry.url}, up ${formatAge(registry.status.uptime)}${describePreservation(registry.status.preservation)}`;
  lines.push(
    ['registry', toPrintable(hideCredentials(reached)), ''],
    ['lease', describeLease(status, output), ''],
  );
  const width = Math.max(...lines.map(([, value, source]) => (source === '' ? 0 : value.length)));
  for (const [name, value, source] of lines) {
    output.data(`${`${name}:`.padEnd(20)}${value.padEnd(width)}  ${source}`.trimEnd());
  }
}

/** That leases outlive their term at the moment; `registry status` says where. */
function describePreservation(subtrees: readonly unknown[] = []): string {
  if (subtrees.length === 0) return '';
  return subtrees.length === 1 ? ', preserving a subtree' : `, preserving ${subtrees.length} subtrees`;
}

function describeLease(status: ClientStatus, output: Output): string {
  if (status.registry.error !== undefined) return 'unknown';
  const instance = instanceOf(status);
  if (instance === undefined) return 'not registered';
  const ageMs = leaseAgeMs(status) ?? 0;
  const said = `${colorStatus(instance.status, output)}, renewed ${formatMs(ageMs)} ago`;
  const leftMs = 5 * instance.heartbeatIntervalMs - ageMs;
  if (leftMs < 0 && (status.registry.status?.preservation?.length ?? 0) > 0) {
    const lastMs = Math.max(0, 15 * instance.heartbeatIntervalMs - ageMs);
    return `${said}, kept by self-preservation: lapses in ${formatMs(lastMs)} at the latest unless renewed`;
  }
  return `${said}, lapses in ${formatMs(Math.max(0, leftMs))} unless renewed`;
}

/** On a command line, what is given in code is a flag. */
function sourceOf({ source }: Setting): string {
  return source === 'code' ? 'flag' : toPrintable(source);
}
