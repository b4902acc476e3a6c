import type { NamespaceClient, NamespaceClientOptions } from '@membrane/client';
import { assertNamed, openClient, type GlobalArguments } from './global-options.js';
import { LeaseFile } from './lease-file.js';

/** A client that shows the token which `membrane register` kept, where there is one. */
export async function openWithLease(
  args: GlobalArguments,
  names: { id?: string | undefined; instanceId: string | undefined },
  options: NamespaceClientOptions = {},
): Promise<{ client: NamespaceClient; file: LeaseFile }> {
  const asker = await openClient(args, names);
  const file = new LeaseFile(asker);
  let leaseToken: string | undefined;
  try {
    assertNamed(asker);
    leaseToken = await file.read();
  } finally {
    await asker.close();
  }
  return { client: await openClient(args, { ...options, ...names, leaseToken }), file };
}
