import type { CamelCased, CommunicationMode, DeliveryAttempt, MembraneRecord } from '@membrane/protocol';
import type { RouteAddress } from '../transports/transport.js';

/** A record of the registry, or as much of it as a plan needs. */
export type Reachable = Pick<
  CamelCased<MembraneRecord>,
  'id' | 'instanceId' | 'endpoint' | 'communicationMode' | 'endpoints' | 'relay' | 'status' | 'drain'
>;

/** What the sender shares with others, by mode; undefined where it cannot use the mode. */
export type OwnRealms = Readonly<Partial<Record<CommunicationMode, string>>>;

/** Where a message for an instance can be handed over, the best first. */
export interface PlannedRoute extends RouteAddress {
  readonly id: string;
  readonly instanceId: string;
}

export interface Plan {
  readonly routes: readonly PlannedRoute[];
  /** Endpoints that cannot be used from here, and why. */
  readonly skipped: readonly DeliveryAttempt[];
}

/** The fastest first. */
const MODE_ORDER: readonly CommunicationMode[] = ['ipc', 'network', 'shared-volume'];

/** Without a realm, as older clients register: a network is the one everybody is on, a path is tried as it stands. */
const REALM_OF_OLDER: Readonly<Partial<Record<CommunicationMode, string>>> = { network: 'default' };

/**
 * The endpoints of an instance that its sender can use: of each mode whose realm both share, in the order ipc, network,
 * shared volume; among several of one mode the order in which they were registered.
 */
export function planRoutes(own: OwnRealms, receiver: Reachable): Plan {
  const { id, instanceId } = receiver;
  const routes: PlannedRoute[] = [];
  const skipped: DeliveryAttempt[] = [];
  const endpoints = endpointsOf(receiver);
  for (const mode of MODE_ORDER) {
    for (const endpoint of endpoints) {
      if (endpoint.mode !== mode) continue;
      const reason = findObstacle(own[mode], endpoint.realm ?? REALM_OF_OLDER[mode], mode);
      const { address } = endpoint;
      if (reason === undefined) {
        routes.push({ id, instanceId, kind: mode, address, isRealmNamed: endpoint.realm === own[mode] });
      } else skipped.push({ route: mode, address, target: id, instanceId, result: 'skipped', reason });
    }
  }
  return { routes, skipped };
}

function endpointsOf({
  endpoint: address,
  communicationMode: mode,
  endpoints,
}: Reachable): Reachable['endpoints'] {
  const hasPrimary = endpoints.some((endpoint) => endpoint.mode === mode && endpoint.address === address);
  return hasPrimary ? endpoints : [{ mode, address }, ...endpoints];
}

function findObstacle(
  own: string | undefined,
  theirs: string | undefined,
  mode: CommunicationMode,
): string | undefined {
  if (own === undefined) return `this client does not use ${mode}`;
  return theirs === undefined || theirs === own ? undefined : 'not shared: another realm';
}
