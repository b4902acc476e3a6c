import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { MembraneError } from '@membrane/protocol';
import type { ListenOption } from '../listen-option.js';
import { isLoopbackHost } from './address-policy.js';

const LOOPBACK = '127.0.0.1';
const ALL_OF_IPV4 = '0.0.0.0';
/** A socket that is bound to it takes IPv4 too. */
const ALL_INTERFACES = '::';
/** Nothing is sent to it. */
const ANY_PORT = 9;
const LINK_LOCAL = /^(fe[89ab].:|169\.254\.)/i;

export interface ListenAddressRequest {
  /** The registry that will tell others the address. */
  readonly registryUrl: string;
  /** The URL by which others reach this process, where it differs from what it listens on: behind NAT, in a container. */
  readonly advertise?: string | undefined;
  /** What was chosen by hand. */
  readonly listen?: ListenOption | undefined;
}

export interface ListenAddress {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** The URL to tell others, without a path's slash at its end, once the port is known. */
  readonly advertisedUrl: (port: number) => string;
}

/**
 * Where to listen, and what to tell others. Without `advertise`: loopback where the registry is there, since nobody
 * else can ask it; else the address of the interface that leads to the registry. With it: all interfaces, at the port
 * of that URL, unless `listen` says otherwise: behind a proxy, or a port that is mapped.
 * @throws MembraneError `invalid_request` for an `advertise` of https alone: what ends TLS listens at its port.
 */
export async function findListenAddress(request: ListenAddressRequest): Promise<ListenAddress> {
  const { registryUrl, advertise, listen = {} } = request;
  if (advertise !== undefined) {
    const url = new URL(advertise);
    if (url.protocol === 'https:' && listen.port === undefined) {
      throw new MembraneError(
        'invalid_request',
        `advertise must be an http URL unless listen names a port too (MEMBRANE_LISTEN, as ":8080"), to which what ends TLS passes on; got "${advertise}"`,
      );
    }
    return {
      host: listen.host ?? (hasIPv6() ? ALL_INTERFACES : ALL_OF_IPV4),
      port: listen.port ?? (url.port === '' ? 80 : Number(url.port)),
      advertisedUrl: () => url.href.replace(/\/+$/, ''),
    };
  }
  const near = await findNearAddress(registryUrl);
  const host = listen.host ?? near;
  const told = [ALL_OF_IPV4, ALL_INTERFACES].includes(host) ? near : host;
  return {
    host,
    port: listen.port ?? 0,
    advertisedUrl: (port) => `http://${isIPv6(told) ? `[${told}]` : told}:${port}`,
  };
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family }) => family === 'IPv6'),
  );
}

async function findNearAddress(registryUrl: string): Promise<string> {
  const { hostname, port } = new URL(registryUrl);
  if (isLoopbackHost(hostname)) return LOOPBACK;
  const address = await findRouteTo(hostname.replace(/^\[|\]$/g, ''), Number(port) || ANY_PORT);
  if (address !== undefined && isLoopbackHost(address)) return LOOPBACK;
  if (address !== undefined && !LINK_LOCAL.test(address)) return address;
  return findAnyAddress();
}

/** The address that packets to a host would have as their source. Connecting a UDP socket sends none. */
async function findRouteTo(host: string, port: number): Promise<string | undefined> {
  let socket: Socket | undefined;
  try {
    const { address, family } = await lookup(host);
    socket = createSocket(family === 6 ? 'udp6' : 'udp4').unref();
    // A route that is missing is told by the callback's error, a socket that cannot be made by the event.
    const connected = once(socket, 'connect');
    socket.connect(port, address);
    await connected;
    return socket.address().address;
  } catch {
    // Without a name or a route now, there may be one by the time that others ask.
    return undefined;
  } finally {
    socket?.close();
  }
}

function findAnyAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outward = all.filter(({ internal, address }) => !internal && !LINK_LOCAL.test(address));
  const [best] = [...outward].sort((left, right) => left.family.localeCompare(right.family));
  return best?.address ?? LOOPBACK;
}
