import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopbackHost } from './address-policy.js';

const LOOPBACK = '127.0.0.1';
const ALL_INTERFACES = '0.0.0.0';
/** Nothing is sent to it. */
const ANY_PORT = 9;
const LINK_LOCAL = /^(fe[89ab].:|169\.254\.)/i;

export interface ListenAddressRequest {
  /** The registry that will tell others the address. */
  readonly registryUrl: string;
  /** The URL by which others reach this process, where it differs from what it listens on: behind NAT, in a container. */
  readonly advertise?: string | undefined;
  /** What was chosen by hand. */
  readonly listen?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
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
 * of that URL.
 */
export async function findListenAddress(request: ListenAddressRequest): Promise<ListenAddress> {
  const { registryUrl, advertise, listen = {} } = request;
  if (advertise !== undefined) {
    const url = new URL(advertise);
    const defaultPort = url.protocol === 'https:' ? 443 : 80;
    return {
      host: listen.host ?? ALL_INTERFACES,
      port: listen.port ?? (url.port === '' ? defaultPort : Number(url.port)),
      advertisedUrl: () => url.href.replace(/\/+$/, ''),
    };
  }
  const near = await findNearAddress(registryUrl);
  const host = listen.host ?? near;
  const told = ['0.0.0.0', '::'].includes(host) ? near : host;
  return {
    host,
    port: listen.port ?? 0,
    advertisedUrl: (port) => `http://${isIPv6(told) ? `[${told}]` : told}:${port}`,
  };
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
