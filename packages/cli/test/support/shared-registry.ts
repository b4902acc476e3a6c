import { useMembrane, type User } from './membrane.js';
import { useProcesses, type RegistryProcess } from './processes.js';
import { changeAt, membranesAt, registerAt, type Seen } from './registry-view.js';

/** Longer than any test: nobody falls silent. */
const HEARTBEAT_INTERVAL_MS = 3_600_000;

export interface Tenant extends User {
  readonly url: string;
  /** Registers, without the help of the command. */
  readonly place: (id: string, parent?: string | null, more?: object) => Promise<void>;
  /** Moves, drains, dissolves, likewise. */
  readonly change: (id: string, verb: string, body?: object) => Promise<void>;
  readonly list: () => Promise<Seen[]>;
}

/** One registry for all tests of a file, where each has a namespace of its own, and a user of it. */
export function useSharedRegistry(): () => Promise<Tenant> {
  const { startRegistry } = useProcesses({ per: 'file' });
  const { createUser } = useMembrane();
  let registry: RegistryProcess | undefined;
  let tenants = 0;
  return async () => {
    registry ??= await startRegistry();
    const { url } = registry;
    tenants += 1;
    const namespace = `test-${tenants}`;
    const user = await createUser(url, { MEMBRANE_NAMESPACE: namespace });
    const place = (id: string, parent: string | null = null, more: object = {}): Promise<void> =>
      registerAt(url, { id, parent, namespace, heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS, ...more });
    return {
      ...user,
      url,
      place,
      change: (id, verb, body = {}) => changeAt(url, { id, verb, namespace, ...body }),
      list: () => membranesAt(url, namespace),
    };
  };
}
