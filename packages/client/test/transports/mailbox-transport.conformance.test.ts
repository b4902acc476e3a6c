import { systemClock } from '../../src/clock.js';
import { MailboxDeadLetters } from '../../src/messaging/mailbox-dead-letters.js';
import { MailboxTransport } from '../../src/transports/mailbox-transport.js';
import { ask } from '../support/http.js';
import { useMailboxes } from '../support/mailboxes.js';
import { useProcesses } from '../support/processes.js';
import { describeTransport } from './transport.conformance.js';

const { connect, register, collect } = useMailboxes();
const { startRegistry } = useProcesses();

describeTransport('the mailbox', async () => {
  const { url } = await startRegistry();
  const api = connect(url);
  await register(api);
  return {
    strongest: 'queued',
    tellsAccepted: false,
    to: { kind: 'mailbox', address: 'oven' },
    receive: (taker) => {
      const collector = collect({ api, taker });
      return Promise.resolve({ close: () => collector.stop() });
    },
    connect: () => new MailboxTransport({ api, timeoutMs: 5_000, clock: systemClock }),
    intrude: async (bytes) => {
      const { status, body } = await ask(`${url}/messages/oven`, { body: bytes });
      expect([status, body['code']]).toEqual([400, 'invalid_request']);
    },
    deadLetterCodes: async () =>
      (await new MailboxDeadLetters(api, 'oven').list({ limit: 100 })).map(({ code }) => code),
    place: { kind: 'mailbox', url },
  };
});
