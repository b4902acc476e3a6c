import { once } from 'node:events';
import { createConnection } from 'node:net';
import { MESSAGE_SUBPROTOCOL } from '@membrane/protocol';
import { WebSocket } from 'ws';
import { eventually } from './eventually.js';
import type { RouteAddress } from '../../src/transports/transport.js';

export interface RawSender {
  readonly socket: WebSocket;
  readonly frames: Record<string, unknown>[];
  /** Resolves with the code and the reason of the close. */
  readonly closed: Promise<{ code: number; reason: string }>;
  send(frame: unknown): void;
  /** The next so many frames, or those that are there. */
  waitForFrames(count: number): Promise<Record<string, unknown>[]>;
}

/** A WebSocket that says to a receiver what a test wants said. */
export async function openRawSender(
  to: RouteAddress,
  options: WebSocket.ClientOptions = {},
): Promise<RawSender> {
  const isSocket = to.kind === 'ipc';
  const url = isSocket ? 'ws://localhost/messages' : `${to.address.replace('http', 'ws')}/messages`;
  const socket = new WebSocket(url, [MESSAGE_SUBPROTOCOL], {
    ...options,
    ...(isSocket ? { createConnection: () => createConnection(to.address) } : {}),
  });
  const frames: Record<string, unknown>[] = [];
  socket.on('message', (data) =>
    frames.push(JSON.parse((data as Buffer).toString()) as Record<string, unknown>),
  );
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await once(socket, 'open');
  return {
    socket,
    frames,
    closed,
    send: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
    waitForFrames: (count) => eventually(`${count} frames came`, () => frames.length >= count && frames),
  };
}
