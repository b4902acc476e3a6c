import { systemClock } from '../../src/clock.js';
import { newMessageId } from '../../src/messaging/message-id.js';
import { createAddressPolicy } from '../../src/transports/address-policy.js';
import { openSocketReceiver, openTcpReceiver, type TcpReceiver } from '../../src/transports/receiver.js';
import { receiverPath } from '../../src/transports/receiver-name.js';
import { socketPath } from '../../src/transports/socket-path.js';
import type { ReceiverLimits } from '../../src/transports/stream-limits.js';
import { StreamTransport, type StreamTransportOptions } from '../../src/transports/stream-transport.js';
import type { OutgoingMessage, RouteAddress } from '../../src/transports/transport.js';
import type { MessageTaker } from '../../src/messaging/message-taker.js';
import type { JsonValue } from '@membrane/protocol';

export const OVEN = { namespace: 'default', id: 'oven', instanceId: 'default' };

export interface OpenedReceiver {
  readonly to: RouteAddress;
  close(): Promise<void>;
}

/** Receivers and transports that are closed when the test is over. */
export function useTransports() {
  const opened: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });
  const keep = <One extends { close(): Promise<void> }>(one: One): One => {
    opened.push(one);
    return one;
  };

  return {
    keep,
    openTcp: async (
      taker: MessageTaker,
      limits?: Partial<ReceiverLimits>,
      port = 0,
    ): Promise<OpenedReceiver & { receiver: TcpReceiver }> => {
      const receiver = keep(await openTcpReceiver({ host: '127.0.0.1', port, limits }));
      const path = receiverPath(OVEN);
      receiver.serve(path, taker);
      const address = `http://127.0.0.1:${receiver.port}${path}`;
      return { receiver, to: { kind: 'network', address }, close: () => receiver.close() };
    },
    openSocket: async (
      directory: string,
      taker: MessageTaker,
      limits?: Partial<ReceiverLimits>,
    ): Promise<OpenedReceiver> => {
      const path = socketPath(directory, OVEN);
      const receiver = keep(await openSocketReceiver(path, taker, limits));
      return { to: { kind: 'ipc', address: path }, close: () => receiver.close() };
    },
    stream: (
      options: Partial<StreamTransportOptions> & { socketDirectory?: string } = {},
    ): StreamTransport => {
      const { socketDirectory, ...others } = options;
      const addressPolicy = createAddressPolicy({ allowLoopback: true, socketDirectory });
      return keep(new StreamTransport({ clock: systemClock, addressPolicy, ...others }));
    },
  };
}

export interface MessageOptions {
  readonly id?: string;
  readonly timeoutMs?: number;
}

let sequence = 0;

export function message(
  payload: JsonValue,
  { id, timeoutMs = 20_000 }: MessageOptions = {},
): OutgoingMessage {
  sequence += 1;
  return {
    envelope: {
      id: id ?? newMessageId(),
      sender: 'baker',
      target: 'oven',
      namespace: 'default',
      timestamp: Date.now() / 1_000,
      payload,
      session: 'session-1',
      sequence,
      attempt: 1,
    },
    deadlineAtMs: systemClock.monotonicMs() + timeoutMs,
  };
}
