import { LIMITS } from '@membrane/protocol';
import { MAIL_OVERHEAD_BYTES } from '../../src/domain/mail.js';
import { ack, collect, deadIds, envelope, idsOf, toEnvelope } from '../support/mail.js';
import { codeOf, QUOTAS, registration, RegistryCore } from '../support/registry-core.js';

const HOUR_MS = 3_600_000;
const TOKEN = 'a-token-of-32-characters-or-more';
const OTHER_TOKEN = 'another-token-of-32-characters-or-more';

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
  await core.service.register(registration('oven', { heartbeat_interval_ms: 86_400_000 }));
});

const post = (id: string, rest: Parameters<typeof envelope>[1] = {}): Promise<unknown> =>
  core.mailbox.post('oven', envelope(id, rest), undefined);

/** Time passes without the ticks that it would take: one sweep tells what it does to mail. */
async function pass(ms: number): Promise<void> {
  core.clock.advance(ms);
  await core.sweeper.sweep();
}

describe('posting', () => {
  it('keeps messages in their order, and tells who gets them what is left of their time', async () => {
    await post('a', { ttl_ms: 10_000, attempt: 3, type: 'bake', payload: { deep: [1] } });
    await post('b');
    core.clock.advance(4_000);
    const items = await collect(core);
    expect(items.map(toEnvelope)).toEqual([
      {
        id: 'a',
        sender: 'sender',
        target: 'oven',
        namespace: 'default',
        type: 'bake',
        payload: { deep: [1] },
        attempt: 3,
        ttl_ms: 6_000,
      },
      expect.objectContaining({ id: 'b', attempt: 1, ttl_ms: HOUR_MS - 4_000 }),
    ]);
  });

  it('gives a message without an id one, a UUID of version 7 of this moment', async () => {
    const { message_id: id } = await core.mailbox.post('oven', { sender: 'x', payload: 1 }, undefined);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(core.clock.wallMs());
  });

  it('takes a message once, also when it was processed, or died', async () => {
    await post('a');
    await post('a');
    const items = await collect(core);
    expect(idsOf(items)).toEqual(['a']);
    await post('a');
    await ack(core, items);
    await post('a');
    expect(core.state.mail.waiting).toBe(0);
    await post('b', { ttl_ms: 1_000 });
    await pass(1_000);
    await post('b');
    expect(core.state.mail.waiting).toBe(0);
    expect(deadIds(core)).toEqual(['b']);
  });

  it('takes one of two that come together', async () => {
    await Promise.all([post('a'), post('a')]);
    expect(core.state.mail.waiting).toBe(1);
  });

  it('keeps what foreign senders send by the same id, each of them and each content once', async () => {
    const send = (sender: string, payload: string): Promise<unknown> =>
      core.mailbox.post('oven', { id: '1', sender, payload }, undefined);
    const payloadsOf = (items: Awaited<ReturnType<typeof collect>>): unknown[] =>
      items.map((item) => toEnvelope(item).payload);
    await Promise.all([send('alice', 'bread'), send('bob', 'bread'), send('alice', 'bread')]);
    await send('alice', 'cake');
    expect(core.state.mail.waiting).toBe(3);
    const items = await collect(core);
    expect(payloadsOf(items)).toEqual(['bread', 'bread', 'cake']);
    await ack(core, items.slice(0, 2));
    await ack(core, items.slice(2), 'failed');
    // Alice counts from one again.
    await send('alice', 'bread');
    await send('alice', 'cake');
    expect(core.state.mail.waiting).toBe(0);
    await send('alice', 'pie');
    const again = await core.restart();
    expect(payloadsOf(await collect(again))).toEqual(['pie']);
    expect(deadIds(again)).toEqual(['1']);
  });

  it('takes what a session sends by its id, whatever else is in it', async () => {
    await post('a', { session: 's', payload: 1 });
    await post('a', { session: 's', payload: 2 });
    expect(core.state.mail.waiting).toBe(1);
  });

  it('refuses who is nowhere, and what has no time left', async () => {
    expect(await codeOf(core.mailbox.post('nobody', envelope('a'), undefined))).toBe('not_found');
    expect(await codeOf(core.mailbox.post('oven', envelope('a'), 'elsewhere'))).toBe('not_found');
    expect(await codeOf(post('a', { ttl_ms: 0 }))).toBe('expired');
    // So senders ask whether an id is known, and leave nothing.
    const late = envelope('a', { ttl_ms: 0 });
    expect(await codeOf(core.mailbox.post('nobody', late, undefined))).toBe('not_found');
  });

  it('keeps mail for one who is away', async () => {
    await core.service.deregister({ id: 'oven' });
    await post('a');
    expect(await codeOf(collect(core))).toBe('not_registered');
    await core.service.register(registration('oven'));
    expect(idsOf(await collect(core))).toEqual(['a']);
  });

  it('bounds the messages of one membrane, those that come together included', async () => {
    const codes = await Promise.all(
      Array.from({ length: QUOTAS.maxMessages + 2 }, (_, index) => codeOf(post(`m-${index}`))),
    );
    expect(codes.filter((code) => code === 'done')).toHaveLength(QUOTAS.maxMessages);
    expect(codes.slice(-2)).toEqual(['mailbox_full', 'mailbox_full']);
    await ack(core, (await collect(core, { max: 1 })).slice());
    expect(await codeOf(post('late'))).toBe('done');
  });

  it('bounds the bytes of one membrane, and those of all', async () => {
    const payload = 'x'.repeat(30_000);
    await core.service.register(registration('sink'));
    await core.service.register(registration('tap'));
    const fill = (id: string, message: string): Promise<string> =>
      codeOf(core.mailbox.post(id, envelope(message, { payload }), undefined));
    expect([await fill('oven', 'a'), await fill('oven', 'b'), await fill('oven', 'c')]).toEqual([
      'done',
      'done',
      'mailbox_full',
    ]);
    expect([await fill('sink', 'a'), await fill('sink', 'b'), await fill('tap', 'a')]).toEqual([
      'done',
      'done',
      'done',
    ]);
    expect(await fill('tap', 'b')).toBe('mailbox_full');
    expect(core.state.mail.bytes).toBeGreaterThan(5 * (30_000 + MAIL_OVERHEAD_BYTES));
    expect(core.state.mail.bytes).toBeLessThanOrEqual(QUOTAS.maxTotalBytes);
  });
});

it('keeps no more in memory than it should while the store is slow', async () => {
  const big = new RegistryCore(core.clock, core.store, { ...QUOTAS, maxBytes: 1e9, maxTotalBytes: 1e9 });
  await big.load();
  const payload = 'x'.repeat(1_000_000);
  const codes = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      codeOf(big.mailbox.post('oven', envelope(`m-${index}`, { payload }), undefined)),
    ),
  );
  expect(codes.filter((code) => code === 'store_unavailable')).toHaveLength(7);
  expect(await codeOf(big.mailbox.post('sink', envelope('a'), undefined))).toBe('not_found');
});

describe('collecting', () => {
  it('hides what was handed out from others for 30 s', async () => {
    await post('a');
    await post('b');
    expect(idsOf(await collect(core, { max: 1 }))).toEqual(['a']);
    expect(idsOf(await collect(core))).toEqual(['b']);
    core.clock.advance(29_999);
    expect(await collect(core)).toEqual([]);
    core.clock.advance(1);
    const again = await collect(core);
    expect(again.map(({ mail, attempt }) => [mail.messageId, attempt])).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
  });

  it('hides what is in progress for another 30 s, also while the store fails', async () => {
    await post('a');
    await post('b');
    const items = await collect(core);
    core.store.isFailing = true;
    for (let times = 0; times < 3; times += 1) {
      core.clock.advance(20_000);
      expect(await ack(core, items.slice(0, 1), 'in_progress')).toEqual({ success: true, unknown: [] });
      core.store.isFailing = false;
    }
    expect(idsOf(await collect(core))).toEqual(['b']);
    core.clock.advance(29_999);
    expect(await collect(core, { max: 1 })).toEqual([]);
    core.clock.advance(1);
    const again = await collect(core, { max: 1 });
    expect(again.map(({ mail, attempt }) => [mail.messageId, attempt])).toEqual([['a', 2]]);
    expect(await ack(core, items, 'in_progress')).toMatchObject({
      unknown: [items[0]?.receipt, items[1]?.receipt],
    });
  });

  it('takes ends and what is in progress by one call', async () => {
    for (const id of ['a', 'b']) await post(id);
    const items = await collect(core);
    core.clock.advance(20_000);
    const [a, b] = items.map(({ receipt }) => receipt);
    const acks = [
      { receipt: a ?? '', outcome: 'in_progress' as const },
      { receipt: b ?? '', outcome: 'processed' as const },
      { receipt: 'nobody', outcome: 'in_progress' as const },
    ];
    expect(await core.mailbox.ack('oven', { acks })).toMatchObject({ unknown: ['nobody'] });
    expect(core.state.mail.waiting).toBe(1);
    core.clock.advance(20_000);
    expect(await collect(core)).toEqual([]);
  });

  it('counts an ack that is late, as long as nobody else has the message', async () => {
    await post('a');
    const first = await collect(core);
    core.clock.advance(60_000);
    expect(await ack(core, first)).toMatchObject({ unknown: [] });
    expect(core.state.mail.waiting).toBe(0);

    await post('b');
    const early = await collect(core);
    core.clock.advance(60_000);
    const late = await collect(core);
    expect(await ack(core, early)).toMatchObject({ unknown: [early[0]?.receipt] });
    expect(await ack(core, late)).toMatchObject({ unknown: [] });
    expect(await ack(core, late)).toMatchObject({ unknown: [late[0]?.receipt] });
  });

  it('gives to others at once what is given back', async () => {
    for (const instance of ['left', 'right']) {
      await core.service.register(registration('oven', { instance_id: instance }));
    }
    await post('a', { session: 's', stream: 'one' });
    await post('b', { session: 's', stream: 'one' });
    const first = await collect(core, { instanceId: 'left', max: 1 });
    expect(await collect(core, { instanceId: 'right' })).toEqual([]);
    expect(await ack(core, first, 'released')).toMatchObject({ unknown: [] });
    const again = await collect(core, { instanceId: 'right' });
    expect(again.map(({ mail, attempt }) => [mail.messageId, attempt])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    expect(await ack(core, first, 'released')).toMatchObject({ unknown: [first[0]?.receipt] });
    expect(await collect(core, { instanceId: 'left' })).toEqual([]);
    expect(await ack(core, again)).toMatchObject({ unknown: [] });
    expect(await ack(core, again, 'released')).toMatchObject({
      unknown: again.map(({ receipt }) => receipt),
    });
  });

  it('wakes who waits for what is given back', async () => {
    await post('a');
    const first = await collect(core);
    const { signal } = new AbortController();
    const waiting = core.mailbox.collect('oven', { wait_ms: 20_000 }, undefined, signal);
    await ack(core, first, 'released');
    expect(idsOf(await waiting)).toEqual(['a']);
  });

  it('wants a token that fits a live instance', async () => {
    await core.service.register(registration('held', { lease_token: TOKEN }));
    await core.service.register(registration('held', { lease_token: OTHER_TOKEN, instance_id: 'two' }));
    const held = (rest: object): Promise<string> => codeOf(collect(core, { id: 'held', ...rest }));
    expect(await held({})).toBe('lease_token_required');
    expect(await held({ token: 'a-token-that-nobody-has-ever-seen' })).toBe('superseded');
    expect(await held({ token: TOKEN })).toBe('done');
    expect(await held({ token: OTHER_TOKEN })).toBe('done');
    expect(await held({ token: TOKEN, instanceId: 'two' })).toBe('superseded');
    expect(await held({ token: OTHER_TOKEN, instanceId: 'two' })).toBe('done');
    expect(await held({ token: TOKEN, instanceId: 'three' })).toBe('not_registered');
    await core.service.deregister({ id: 'held', force: true });
    expect(await held({ token: TOKEN, instanceId: 'default' })).toBe('removed');
    await core.service.deregister({ id: 'held', instance_id: 'two', force: true });
    expect(await held({ token: OTHER_TOKEN })).toBe('removed');
    expect(await codeOf(collect(core, { id: 'nobody' }))).toBe('not_registered');
  });

  it('wants the token for acks too', async () => {
    await core.service.register(registration('held', { lease_token: TOKEN }));
    await core.mailbox.post('held', envelope('a'), undefined);
    const items = await collect(core, { id: 'held', token: TOKEN });
    expect(await codeOf(ack(core, items))).toBe('lease_token_required');
    expect(await codeOf(ack(core, items, 'in_progress'))).toBe('lease_token_required');
    expect(await ack(core, items, 'processed', { lease_token: TOKEN })).toMatchObject({ unknown: [] });
  });

  it('takes no receipt of another box', async () => {
    await core.service.register(registration('sink'));
    await post('a');
    const [item] = await collect(core);
    const receipt = item?.receipt ?? '';
    const answer = await core.mailbox.ack('sink', { acks: [{ receipt, outcome: 'processed' }] });
    expect(answer.unknown).toEqual([receipt]);
    expect(core.state.mail.waiting).toBe(1);
  });

  it('gives what was meant for an instance to that one, as long as it is live', async () => {
    await core.service.register(registration('oven', { instance_id: 'two', lease_token: TOKEN }));
    await post('for-two', { instance_id: 'two' });
    await post('for-all');
    await post('for-gone', { instance_id: 'gone' });
    expect(idsOf(await collect(core, { instanceId: 'default' }))).toEqual(['for-all', 'for-gone']);
    // Who does not say which it is gets what its token may have.
    expect(idsOf(await collect(core))).toEqual([]);
    expect(idsOf(await collect(core, { token: TOKEN }))).toEqual(['for-two']);
    core.clock.advance(30_000);
    await core.service.deregister({ id: 'oven', instance_id: 'two', lease_token: TOKEN });
    expect(idsOf(await collect(core, { instanceId: 'default', max: 1 }))).toEqual(['for-two']);
  });

  it('gives nobody a message of a stream while another has an earlier one', async () => {
    await core.service.register(registration('oven', { instance_id: 'two' }));
    for (const id of ['s1', 's2']) await post(id, { stream: 's', session: 'one' });
    await post('t1', { stream: 't', session: 'one' });
    await post('s1-of-another', { stream: 's', session: 'two' });
    await post('free');
    const first = await collect(core, { instanceId: 'default', max: 1 });
    expect(idsOf(first)).toEqual(['s1']);
    expect(idsOf(await collect(core, { instanceId: 'two' }))).toEqual(['t1', 's1-of-another', 'free']);
    // The holder itself gets on.
    expect(idsOf(await collect(core, { instanceId: 'default' }))).toEqual(['s2']);
  });

  it('gives the rest of a stream to others when its first one is done', async () => {
    await core.service.register(registration('oven', { instance_id: 'two' }));
    for (const id of ['s1', 's2']) await post(id, { stream: 's', session: 'one' });
    const first = await collect(core, { instanceId: 'default', max: 1 });
    expect(await collect(core, { instanceId: 'two' })).toEqual([]);
    await ack(core, first);
    expect(idsOf(await collect(core, { instanceId: 'two' }))).toEqual(['s2']);
  });

  it('gives a new run of an instance at once what its former run had', async () => {
    await core.service.register(registration('held', { lease_token: TOKEN }));
    await core.mailbox.post('held', envelope('a', { stream: 's' }), undefined);
    await core.mailbox.post('held', envelope('b', { stream: 's' }), undefined);
    const held = { id: 'held', instanceId: 'default' };
    expect(idsOf(await collect(core, { ...held, token: TOKEN, max: 1 }))).toEqual(['a']);
    await core.service.register(registration('held', { lease_token: OTHER_TOKEN }));
    expect(idsOf(await collect(core, { ...held, token: OTHER_TOKEN }))).toEqual(['a', 'b']);
  });

  it('makes a dead letter of what ten of its receivers did not survive', async () => {
    for (let run = 1; run <= LIMITS.maxLostConsumers; run += 1) {
      await core.service.register(registration('held', { lease_token: `${TOKEN}-${run}` }));
      if (run === 1) await core.mailbox.post('held', envelope('a'), undefined);
      if (run === LIMITS.maxLostConsumers) await core.mailbox.post('held', envelope('b'), undefined);
      const items = await collect(core, { id: 'held', instanceId: 'default', token: `${TOKEN}-${run}` });
      expect(items[0]).toMatchObject({ mail: { messageId: 'a' }, attempt: run });
    }
    await core.service.register(registration('held', { lease_token: OTHER_TOKEN }));
    const held = { id: 'held', instanceId: 'default', token: OTHER_TOKEN };
    expect(idsOf(await collect(core, held))).toEqual(['b']);
    await core.queue.idle();
    expect(core.mailbox.deadLetters('held', {})).toMatchObject([
      {
        mail: { messageId: 'a' },
        code: 'handler_failed',
        reason: '10 receivers were lost while they had it',
      },
    ]);
  });

  it('gives a message again and again to who lives and cannot have it yet', async () => {
    await post('a');
    for (let count = 0; count < 3 * LIMITS.maxLostConsumers; count += 1) {
      expect(idsOf(await collect(core))).toEqual(['a']);
      core.clock.advance(30_000);
    }
  });

  it('hands out at most so many bytes in one answer, and always one message', async () => {
    core.mailbox.stop();
    const big = new RegistryCore(core.clock, core.store, { ...QUOTAS, maxBytes: 1e8, maxTotalBytes: 1e8 });
    await big.load();
    const payload = 'x'.repeat(1_000_000);
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      await big.mailbox.post('oven', envelope(id, { payload }), undefined);
    }
    expect(idsOf(await collect(big))).toEqual(['a', 'b', 'c', 'd']);
    expect(idsOf(await collect(big))).toEqual(['e']);
  });
});
