import { createNamespaceClient, type NamespaceClient } from '../../src/namespace-client.js';
import type { ClientEvents } from '../../src/client-events.js';
import type { NamespaceClientOptions } from '../../src/options.js';

const EVENT_NAMES: readonly (keyof ClientEvents)[] = [
  'registered',
  'leaseLost',
  'superseded',
  'removed',
  'registrationFailed',
  'registryUnreachable',
  'registryReachable',
];

export interface WatchedClient {
  readonly client: NamespaceClient;
  /** What it told so far, but heartbeats. */
  readonly events: (keyof ClientEvents)[];
  /** How many heartbeats were acknowledged. */
  readonly renewals: () => number;
}

/** Clients, that are closed when the test is over. */
export function useClients(): (id: string, options: NamespaceClientOptions) => WatchedClient {
  const clients: NamespaceClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close({ deregister: false })));
  });
  return (id, options) => {
    const client = createNamespaceClient(id, { heartbeatIntervalMs: 250, cache: false, ...options });
    clients.push(client);
    const events: (keyof ClientEvents)[] = [];
    for (const name of EVENT_NAMES) client.on(name, () => events.push(name));
    let renewals = 0;
    client.on('leaseRenewed', () => (renewals += 1));
    return { client, events, renewals: () => renewals };
  };
}

/** How to be reached is not what most tests are about. */
export const AT = { endpoint: 'http://127.0.0.1:1' };
