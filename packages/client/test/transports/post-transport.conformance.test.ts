import { systemClock } from '../../src/clock.js';
import { createAddressPolicy } from '../../src/transports/address-policy.js';
import { PostTransport } from '../../src/transports/post-transport.js';
import { receiverPath } from '../../src/transports/receiver-name.js';
import { findFreePort } from '../support/free-port.js';
import { ask } from '../support/http.js';
import { OVEN, useTransports } from '../support/transports.js';
import { describeTransport } from './transport.conformance.js';

const transports = useTransports();

describeTransport('POST', async () => {
  const port = await findFreePort();
  const address = `http://127.0.0.1:${port}${receiverPath(OVEN)}`;
  const addressPolicy = createAddressPolicy({ allowLoopback: true, socketDirectory: undefined });
  return {
    strongest: 'processed',
    tellsAccepted: false,
    to: { kind: 'network', address },
    receive: (taker) => transports.openTcp(taker, undefined, port),
    connect: () => transports.keep(new PostTransport({ clock: systemClock, addressPolicy })),
    intrude: async (bytes) => {
      const { status, body } = await ask(`${address}/message`, { body: bytes });
      expect([status, body['code']]).toEqual([400, 'invalid_request']);
    },
    place: { kind: 'post', port },
  };
});
