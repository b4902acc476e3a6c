import type { NamespaceClient } from '@membrane/client';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { formatAge, toPrintable } from './output.js';

/** @throws CommandError where the name has a live registration. */
export async function refuseIfHeld(client: NamespaceClient, signal?: AbortSignal): Promise<void> {
  const { id, instanceId } = client.options;
  const found = await client.discover(id, { signal });
  const live = found?.instances.find((instance) => instance.instanceId === instanceId);
  if (live === undefined) return;
  const age = formatAge(Date.now() / 1_000 - live.lastHeartbeat);
  throw new CommandError(
    `"${id}" is registered already, at ${toPrintable(live.endpoint)}, heard of ${age} ago; --replace takes the name from it`,
    EXIT_CODES.refused,
  );
}
