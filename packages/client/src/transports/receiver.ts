import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { MembraneError } from '@membrane/protocol';
import type { MessageTaker } from '../messaging/message-taker.js';
import { MessageServer, type ServedPath } from './message-server.js';
import { claimSocketPath } from './socket-path.js';
import { DEFAULT_RECEIVER_LIMITS, type ReceiverLimits } from './stream-limits.js';

export interface TcpReceiverOptions {
  /** The address to listen on; `0.0.0.0` for all of IPv4, `::` for that and IPv6. */
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly limits?: Partial<ReceiverLimits> | undefined;
}

/** One client's share of a TCP listener. */
export interface TcpReceiver {
  readonly host: string;
  /** The port in use. */
  readonly port: number;
  /**
   * Takes messages at a path, as `receiverPath` makes it.
   * @throws MembraneError `conflict` where another client of this process has the path.
   */
  serve(path: string, taker: MessageTaker): ServedPath;
  /** Ends what was served through it; the last one closes the listener. */
  close(): Promise<void>;
}

export interface SocketReceiver {
  readonly path: string;
  close(): Promise<void>;
}

interface Listener {
  readonly server: MessageServer;
  readonly host: string;
  readonly port: number;
}

interface PoolEntry {
  readonly listener: Promise<Listener>;
  users: number;
}

/** Listeners of this process by what was asked for, so that its clients need one port. */
const pool = new Map<string, PoolEntry>();

/**
 * A share of the listener for that host and port, which is opened by the first.
 * @throws MembraneError `conflict` where another process has the port, `invalid_request` where it cannot be opened.
 */
export async function openTcpReceiver({ host, port, limits }: TcpReceiverOptions): Promise<TcpReceiver> {
  const key = JSON.stringify([host, port, limits]);
  const entry = pool.get(key) ?? { listener: listenOnTcp(host, port, completeLimits(limits)), users: 0 };
  pool.set(key, entry);
  entry.users += 1;
  const release = async (): Promise<void> => {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (pool.get(key) === entry) pool.delete(key);
    await (await entry.listener).server.close();
  };
  let listener: Listener;
  try {
    listener = await entry.listener;
  } catch (error) {
    if (pool.get(key) === entry) pool.delete(key);
    throw error;
  }
  const served: ServedPath[] = [];
  let closing: Promise<void> | undefined;
  return {
    host: listener.host,
    port: listener.port,
    serve: (path, taker) => {
      const handle = listener.server.serve(path, taker);
      served.push(handle);
      return handle;
    },
    close: () => (closing ??= Promise.all(served.map((handle) => handle.close())).then(release)),
  };
}

/**
 * Takes messages at a Unix socket of one's own.
 * @throws MembraneError `conflict` where a process that lives has the socket, `invalid_request` where it cannot be made.
 */
export async function openSocketReceiver(
  path: string,
  taker: MessageTaker,
  limits?: Partial<ReceiverLimits>,
): Promise<SocketReceiver> {
  const server = new MessageServer(completeLimits(limits));
  server.serve('', taker);
  let claim;
  try {
    claim = await claimSocketPath(path, server.http);
  } catch (error) {
    await server.close();
    throw error;
  }
  server.http.unref();
  let closing: Promise<void> | undefined;
  return {
    path,
    close: () =>
      (closing ??= claim.release().then(async () => {
        await server.close();
      })),
  };
}

function completeLimits(given: Partial<ReceiverLimits> = {}): ReceiverLimits {
  return { ...DEFAULT_RECEIVER_LIMITS, ...given };
}

async function listenOnTcp(host: string, port: number, limits: ReceiverLimits): Promise<Listener> {
  const server = new MessageServer(limits);
  server.http.listen({ host, port, exclusive: true });
  try {
    await once(server.http, 'listening');
  } catch (cause) {
    await server.close();
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new MembraneError('conflict', `another process listens on ${host}, port ${port}`, { cause });
    }
    throw new MembraneError('invalid_request', `cannot listen on ${host}, port ${port}: ${message}`, {
      cause,
    });
  }
  server.http.on('error', () => undefined);
  server.http.unref();
  return { server, host, port: (server.http.address() as AddressInfo).port };
}
