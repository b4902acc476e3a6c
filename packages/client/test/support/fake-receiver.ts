import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { RouteAddress } from '../../src/transports/transport.js';

export interface FakeReceiver {
  readonly to: RouteAddress;
  /** Those that were opened, the last one last. */
  readonly connections: WebSocket[];
  /** Messages in the order in which they came, over all connections. */
  readonly messages: { id: string; payload: unknown; attempt: number }[];
  /** Ends the listener and all connections. */
  close(): Promise<void>;
}

export interface FakeReceiverOptions {
  /** The window that it tells; null for one that tells none. */
  readonly window?: number | null;
  readonly onMessage?: (
    message: { id: string; payload: unknown; attempt: number },
    socket: WebSocket,
  ) => void;
  /** In place of an upgrade. */
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex) => void;
  readonly onRequest?: (request: IncomingMessage, response: ServerResponse) => void;
  readonly autoPong?: boolean;
  readonly port?: number;
}

/** A receiver that does what receivers of ours would not. */
export async function openFakeReceiver(options: FakeReceiverOptions = {}): Promise<FakeReceiver> {
  const { window = 100, onMessage, onUpgrade, onRequest, autoPong = true, port = 0 } = options;
  const connections: WebSocket[] = [];
  const messages: FakeReceiver['messages'] = [];
  const http = createServer();
  const raw = new Set<Socket>();
  http.on('connection', (socket) => raw.add(socket));
  const sockets = new WebSocketServer({ noServer: true, autoPong });
  http.on('request', onRequest ?? ((_, response) => response.writeHead(500).end()));
  http.on('upgrade', (request, socket, head) => {
    if (onUpgrade !== undefined) {
      onUpgrade(request, socket);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      connections.push(webSocket);
      webSocket.on('error', () => undefined);
      webSocket.on('message', (data) => {
        const frame = JSON.parse((data as Buffer).toString()) as { m?: FakeReceiver['messages'][number] };
        if (frame.m === undefined) return;
        messages.push(frame.m);
        onMessage?.(frame.m, webSocket);
      });
      if (window !== null) webSocket.send(JSON.stringify({ w: window }));
    });
  });
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  return {
    to: { kind: 'network', address: `http://127.0.0.1:${(http.address() as AddressInfo).port}` },
    connections,
    messages,
    close: async () => {
      for (const connection of connections) connection.terminate();
      for (const socket of raw) socket.destroy();
      if (!http.listening) return;
      http.close();
      await once(http, 'close');
    },
  };
}

export function ack({ id }: { id: string }, socket: WebSocket): void {
  socket.send(JSON.stringify({ a: id, o: 'processed' }));
}
