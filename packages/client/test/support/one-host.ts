import { join } from 'node:path';
import type { JsonValue } from '@membrane/protocol';
import type { Message } from '../../src/messaging/message.js';
import type { NamespaceClient } from '../../src/namespace-client.js';
import type { NamespaceClientOptions } from '../../src/options.js';
import { useClients } from './clients.js';
import { useProcesses } from './processes.js';
import { useTemporaryDirectories } from './temporary-directory.js';

/** A registry, and membranes of one host that share everything unless they are told otherwise. */
export function useOneHost() {
  const createClient = useClients();
  const { start, startRegistry } = useProcesses();
  // After those, who write there.
  const makeDirectory = useTemporaryDirectories();

  const begin = async () => {
    const registry = await startRegistry();
    const directory = await makeDirectory();
    const common = {
      registryUrl: registry.url,
      sharedRoot: join(directory, 'shared'),
      socketDirectory: join(directory, 'sockets'),
    };
    const create = (id: string, options: NamespaceClientOptions = {}): NamespaceClient =>
      createClient(id, { ...common, ...options }).client;
    /** One that is registered, and notes what it handles. */
    const joinAs = async (id: string, options: NamespaceClientOptions & { relay?: boolean } = {}) => {
      const { relay, ...clientOptions } = options;
      const client = create(id, clientOptions);
      const messages: Message[] = [];
      client.onMessage((message) => {
        messages.push(message);
        return `${id} has it`;
      });
      await client.register({ relay });
      const handled = (): JsonValue[] => messages.map(({ payload }) => payload);
      return { client, messages, handled };
    };
    return { registry, directory, common, create, join: joinAs };
  };
  return { begin, start };
}
