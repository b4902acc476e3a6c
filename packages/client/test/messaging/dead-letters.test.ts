import { MembraneError } from '@membrane/protocol';
import { DeadLetters, type DeadLetterPlace } from '../../src/messaging/dead-letters.js';
import { MailboxDeadLetters } from '../../src/messaging/mailbox-dead-letters.js';
import { Outbox } from '../../src/messaging/outbox.js';
import { OutboxDeadLetters } from '../../src/messaging/outbox-dead-letters.js';
import type { OutboxEntry } from '../../src/messaging/outbox-entry.js';
import { LEASE_TOKEN, useMailboxes } from '../support/mailboxes.js';
import { useProcesses } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const outboxes: Outbox[] = [];
afterEach(async () => {
  await Promise.all(outboxes.splice(0).map((outbox) => outbox.close()));
});

const makeDirectory = useTemporaryDirectories();
const { startRegistry } = useProcesses();
const { connect, register } = useMailboxes();

const envelopeOf = (id: string, target: string) => ({ id, sender: 'baker', target, payload: id });

/** One dead letter in a mailbox, then one in an outbox. */
async function setUp() {
  const registry = await startRegistry();
  const api = connect(registry.url);
  await register(api);
  await api.postMessage(envelopeOf('received', 'oven'));
  const [item] = await api.collectMessages({ id: 'oven', leaseToken: LEASE_TOKEN });
  const ack = { receipt: item!.receipt, outcome: 'failed' as const, reason: 'out_of_order: too late' };
  await api.ackMessages({ id: 'oven', leaseToken: LEASE_TOKEN, acks: [ack] });
  const outbox = await Outbox.open({ directory: await makeDirectory() });
  outboxes.push(outbox);
  const deadlineAtMs = Date.now() + 60_000;
  await outbox.put({ envelope: envelopeOf('sent', 'shop'), deadlineAtMs, options: {} });
  await outbox.bury('sent', new MembraneError('not_delivered', 'no way led there'));
  const sent: OutboxEntry[] = [];
  const places: DeadLetterPlace[] = [
    new MailboxDeadLetters(api, 'oven'),
    new OutboxDeadLetters(outbox, (entry) => sent.push(entry)),
  ];
  return { registry, api, outbox, sent, letters: new DeadLetters(() => Promise.resolve(places)) };
}

describe('dead letters', () => {
  it('of a mailbox and of an outbox are one list, the oldest first', async () => {
    const { letters } = await setUp();
    const listed = await letters.list();
    expect(listed).toMatchObject([
      {
        place: 'mailbox',
        messageId: 'received',
        code: 'out_of_order',
        reason: 'too late',
        envelope: { payload: 'received' },
      },
      {
        place: 'outbox',
        messageId: 'sent',
        code: 'not_delivered',
        reason: 'no way led there',
        envelope: { payload: 'sent' },
      },
    ]);
    for (const { diedAtMs } of listed) expect(Math.abs(diedAtMs - Date.now())).toBeLessThan(600_000);
    expect(await letters.list({ limit: 1 })).toMatchObject([{ messageId: 'received' }]);
    expect(await letters.list({ place: 'outbox' })).toMatchObject([{ messageId: 'sent' }]);
  });

  it('are sent again, wherever they are', async () => {
    const { api, outbox, sent, letters } = await setUp();
    expect(await letters.requeue({ messageIds: ['sent', 'nowhere'] })).toBe(1);
    expect(await letters.requeue()).toBe(1);
    expect(await letters.list()).toEqual([]);
    expect(sent.map(({ envelope }) => envelope.id)).toEqual(['sent']);
    expect(outbox.size).toBe(1);
    const items = await api.collectMessages({ id: 'oven', leaseToken: LEASE_TOKEN });
    expect(items.map(({ envelope }) => envelope.id)).toEqual(['received']);
  });

  it('are discarded, wherever they are', async () => {
    const { api, outbox, letters } = await setUp();
    expect(await letters.discard({ messageIds: ['received'], place: 'outbox' })).toBe(0);
    expect(await letters.discard({ messageIds: ['received', 'sent'] })).toBe(2);
    expect(await letters.list()).toEqual([]);
    expect(outbox.size).toBe(0);
    expect(await api.collectMessages({ id: 'oven', leaseToken: LEASE_TOKEN })).toEqual([]);
  });

  it('that cannot be asked for fail the call, after the others were seen to', async () => {
    const { registry, outbox, letters } = await setUp();
    await registry.kill();
    await expect(letters.list()).rejects.toMatchObject({ code: 'registry_unreachable' });
    expect(await letters.list({ place: 'outbox' })).toHaveLength(1);
    await expect(letters.requeue()).rejects.toMatchObject({ code: 'registry_unreachable' });
    expect(outbox.size).toBe(1);
    expect(await letters.list({ place: 'outbox' })).toEqual([]);
  });
});
