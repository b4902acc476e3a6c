import { WebSocket } from 'ws';
import { receiverPath } from '../../src/transports/receiver-name.js';
import { socketPath } from '../../src/transports/socket-path.js';
import { findFreePort } from '../support/free-port.js';
import { openRawSender } from '../support/raw-sender.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import type { TransportSubject } from '../support/transport-subject.js';
import { OVEN, useTransports } from '../support/transports.js';
import type { RouteAddress } from '../../src/transports/transport.js';
import { describeTransport } from './transport.conformance.js';

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();

describeTransport('a stream over TCP', async () => {
  const port = await findFreePort();
  const to = { kind: 'network', address: `http://127.0.0.1:${port}${receiverPath(OVEN)}` } as const;
  return {
    ...streamTo(to),
    receive: (taker) => transports.openTcp(taker, undefined, port),
    connect: () => transports.stream(),
    place: { kind: 'stream', port },
  };
});

describeTransport('a stream over a Unix socket', async () => {
  const directory = await makeDirectory();
  const to = { kind: 'ipc', address: socketPath(directory, OVEN) } as const;
  return {
    ...streamTo(to),
    receive: (taker) => transports.openSocket(directory, taker),
    connect: () => transports.stream({ socketDirectory: directory }),
    place: { kind: 'socket', directory },
  };
});

function streamTo(to: RouteAddress) {
  return {
    strongest: 'processed',
    tellsAccepted: true,
    to,
    intrude: async (bytes: Buffer) => {
      const sender = await openRawSender(to);
      // As a whole frame, and in place of an envelope: neither gets an answer that it was taken.
      const frame = Buffer.concat([Buffer.from('{"m":'), bytes, Buffer.from('}')]);
      sender.socket.send(frame, { binary: false });
      const { code } = await sender.closed;
      expect([1007, 1008]).toContain(code);
      expect(sender.frames.filter(({ a }) => a !== undefined)).toEqual([]);
      expect(sender.socket.readyState).toBe(WebSocket.CLOSED);
    },
  } satisfies Partial<TransportSubject>;
}
