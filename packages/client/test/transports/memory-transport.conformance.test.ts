import { systemClock } from '../../src/clock.js';
import { MemoryReceivers, MemoryTransport } from '../../src/transports/memory-transport.js';
import type { TransportSubject } from '../support/transport-subject.js';
import { describeTransport } from './transport.conformance.js';

const openMemory = (): Promise<TransportSubject> => {
  const receivers = new MemoryReceivers();
  const address = 'oven';
  return Promise.resolve({
    strongest: 'processed',
    tellsAccepted: true,
    to: { kind: 'memory', address },
    receive: (taker) => {
      const close = receivers.serve(address, taker);
      return Promise.resolve({
        close: () => {
          close();
          return Promise.resolve();
        },
      });
    },
    connect: () => new MemoryTransport({ receivers, clock: systemClock }),
  });
};

describeTransport('memory', openMemory, { isInOneProcess: true });
