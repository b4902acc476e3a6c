import type { RouteAddress, Transport } from '../transports/transport.js';

/** A way to one receiver, and the transport that goes it. */
export interface Route extends RouteAddress {
  /** The membrane that takes the message: the receiver, or a relay. */
  readonly id: string;
  /** The instance of the receiver; undefined where whoever gets it chooses. */
  readonly instanceId: string | undefined;
  readonly transport: Transport;
  /** Names the place: `routeKey`. */
  readonly key: string;
  /** Where the transport hands over: for a relay, one of its endpoints. */
  readonly via: RouteAddress;
}

/** Places that keep a message until it is collected. */
export function isKeeping({ kind }: RouteAddress): boolean {
  return kind === 'shared-volume' || kind === 'mailbox';
}

/** Names the place. */
export function routeKey({ kind, address }: RouteAddress): string {
  return `${kind} ${address}`;
}
