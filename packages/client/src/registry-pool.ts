import { DEFAULT_NAMESPACE } from '@membrane/protocol';
import { systemClock } from './clock.js';
import { LeaseKeeper } from './lease-keeper.js';
import { DEFAULT_CLIENT_OPTIONS } from './options.js';
import { RegistryApi } from './registry-api.js';
import { RegistryConnection } from './registry-connection.js';

/** What the clients of a process share for one registry (or one list of them). */
export interface SharedRegistry {
  /** For calls that somebody waits for. */
  readonly connection: RegistryConnection;
  readonly keeper: LeaseKeeper;
  /** For calls that let the process end. */
  readonly background: RegistryConnection;
  /** Lets go; the last one closes the connections. */
  release(): void;
}

export interface SharedRegistryRequest {
  readonly urls: readonly string[];
  readonly leaseToken: string;
}

interface Entry {
  readonly connection: RegistryConnection;
  readonly background: RegistryConnection;
  readonly keeper: LeaseKeeper;
  users: number;
}

/** One batch of heartbeats a process is only possible where its clients share the keeper that sends it. */
const entries = new Map<string, Entry>();

export function acquireRegistry({ urls, leaseToken }: SharedRegistryRequest): SharedRegistry {
  const key = JSON.stringify([urls, leaseToken]);
  const entry = entries.get(key) ?? createEntry({ urls, leaseToken });
  entries.set(key, entry);
  entry.users += 1;
  let isReleased = false;
  return {
    connection: entry.connection,
    background: entry.background,
    keeper: entry.keeper,
    release: () => {
      if (isReleased) return;
      isReleased = true;
      entry.users -= 1;
      if (entry.users > 0) return;
      entries.delete(key);
      entry.connection.close();
      entry.background.close();
    },
  };
}

function createEntry({ urls, leaseToken }: SharedRegistryRequest): Entry {
  // Registries need not know of each other: what is called must be the one that has the leases.
  const preference = { index: 0 };
  const background = new RegistryConnection({ urls, holdsProcess: false, preference });
  // Every lease names its namespace; clients that differ in their time for a call share this.
  const { timeoutMs } = DEFAULT_CLIENT_OPTIONS;
  const api = new RegistryApi(background, { namespace: DEFAULT_NAMESPACE, timeoutMs });
  return {
    connection: new RegistryConnection({ urls, holdsProcess: true, preference }),
    background,
    keeper: new LeaseKeeper({ api, leaseToken, clock: systemClock, random: Math.random }),
    users: 0,
  };
}
