import { ack, collect, deadIds, envelope, idsOf, toEnvelope } from '../support/mail.js';
import { codeOf, QUOTAS, registration, RegistryCore } from '../support/registry-core.js';

const DAY_MS = 24 * 3_600_000;

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

describe('dying', () => {
  it('makes a dead letter of what its receiver failed at, with the reason', async () => {
    await post('a');
    await ack(core, await collect(core), 'failed', { reason: 'too hot' });
    expect(core.mailbox.deadLetters('oven', {})).toMatchObject([
      { code: 'handler_failed', reason: 'too hot', diedAtMs: core.clock.wallMs(), mail: { messageId: 'a' } },
    ]);
    expect(core.state.mail).toMatchObject({ waiting: 0, deadLetters: 1 });
  });

  it('makes dead letters of what is over, in slices, and hands out none of it meanwhile', async () => {
    await post('short', { ttl_ms: 1_000 });
    await post('long', { ttl_ms: 5_000 });
    core.clock.advance(999);
    await core.sweeper.sweep();
    expect(deadIds(core)).toEqual([]);
    core.clock.advance(1);
    expect(idsOf(await collect(core, { max: 1 }))).toEqual(['long']);
    await core.sweeper.sweep();
    expect(core.mailbox.deadLetters('oven', {})).toMatchObject([
      { code: 'expired', mail: { messageId: 'short' } },
    ]);
  });

  it('lets a receiver finish what it got in time', async () => {
    await post('a', { ttl_ms: 1_000 });
    await post('b', { ttl_ms: 1_000 });
    const [one, two] = await collect(core);
    await pass(10_000);
    expect(deadIds(core)).toEqual([]);
    if (one === undefined || two === undefined) throw new Error('it got none');
    expect(await ack(core, [one])).toMatchObject({ unknown: [] });
    await pass(20_000);
    expect(deadIds(core)).toEqual(['b']);
    expect(await ack(core, [two])).toMatchObject({ unknown: [two.receipt] });
  });

  it('waits for what is in progress, and comes when that ends without a word', async () => {
    await post('a', { ttl_ms: 1_000 });
    await post('b', { ttl_ms: 1_000 });
    const items = await collect(core);
    for (let times = 0; times < 3; times += 1) {
      await pass(20_000);
      expect(await ack(core, items, 'in_progress')).toMatchObject({ unknown: [] });
    }
    expect(deadIds(core)).toEqual([]);
    expect(await ack(core, items.slice(0, 1))).toMatchObject({ unknown: [] });
    await pass(29_999);
    expect(deadIds(core)).toEqual([]);
    await pass(1);
    expect(deadIds(core)).toEqual(['b']);
    expect(await ack(core, items, 'in_progress')).toMatchObject({
      unknown: [items[0]?.receipt, items[1]?.receipt],
    });
  });

  it('passes over what its holder tells to be in progress while the end is on its way', async () => {
    await post('a', { ttl_ms: 1_000 });
    const items = await collect(core);
    core.clock.advance(30_000);
    const swept = core.sweeper.sweep();
    await ack(core, items, 'in_progress');
    await swept;
    expect(deadIds(core)).toEqual([]);
    await pass(30_000);
    expect(deadIds(core)).toEqual(['a']);
  });

  it('is done by the ticker of the registry', async () => {
    await post('a', { ttl_ms: 250 });
    await core.tick(2);
    expect(deadIds(core)).toEqual([]);
    await core.tick(2);
    expect(deadIds(core)).toEqual(['a']);
  });

  it('forgets dead letters after 7 days', async () => {
    await post('a', { ttl_ms: 1_000 });
    await pass(1_000);
    await pass(7 * DAY_MS - 1);
    expect(deadIds(core)).toEqual(['a']);
    await pass(1);
    expect(deadIds(core)).toEqual([]);
    expect(core.state.mail.bytes).toBe(0);
    const { state } = await core.restart();
    expect(state.mail.deadLetters).toBe(0);
  });

  it('keeps the newest dead letters of a membrane that there is room for', async () => {
    const payload = 'x'.repeat(30_000);
    for (const id of ['a', 'b', 'c']) {
      await post(id, { payload, ttl_ms: 1_000 });
      await pass(1_000);
    }
    expect(deadIds(core)).toEqual(['b', 'c']);
    expect((await core.restart()).state.mail.deadLetters).toBe(2);
  });

  it('keeps the newest 1,000 dead letters of a membrane', async () => {
    const many = new RegistryCore(core.clock, core.store, {
      maxMessages: 2_000,
      maxBytes: 1e8,
      maxTotalBytes: 1e9,
    });
    await many.load();
    const ids = Array.from({ length: 1_005 }, (_, index) => `m-${index}`);
    await Promise.all(ids.map((id) => many.mailbox.post('oven', envelope(id, { ttl_ms: 1 }), undefined)));
    many.clock.advance(1);
    for (let slice = 0; slice < 3; slice += 1) await many.sweeper.sweep();
    expect(deadIds(many)).toEqual(ids.slice(5));
    expect((await many.restart()).state.mail.deadLetters).toBe(1_000);
  });

  it('lets dead letters of all membranes take a quarter of the room, the oldest go first', async () => {
    const payload = 'x'.repeat(18_000);
    for (const id of ['sink', 'tap', 'bath']) {
      await core.service.register(registration(id));
      await core.mailbox.post(id, envelope(`of-${id}`, { payload, ttl_ms: 1_000 }), undefined);
      await pass(1_000);
    }
    await pass(100);
    expect(['sink', 'tap', 'bath'].flatMap((id) => deadIds(core, id))).toEqual(['of-tap', 'of-bath']);
  });
});

describe('dead letters', () => {
  beforeEach(async () => {
    for (const id of ['a', 'b', 'c']) {
      await post(id, { stream: 's', session: 'one', sequence: 1, floor: 1, attempt: 2 });
    }
    await ack(core, await collect(core), 'failed');
  });

  it('are listed, the oldest so many', () => {
    expect(core.mailbox.deadLetters('oven', { limit: 2 }).map(({ mail }) => mail.messageId)).toEqual([
      'a',
      'b',
    ]);
    expect(core.mailbox.deadLetters('nobody', {})).toEqual([]);
  });

  it('go to the end of the mailbox when they are put back, as messages of no session', async () => {
    await post('young');
    const answer = await core.mailbox.changeDeadLetters('oven', {
      action: 'requeue',
      message_ids: ['b', 'nobody', 'a', 'a'],
      ttl_ms: 5_000,
    });
    expect(answer).toEqual({ success: true, changed: 2, unknown: ['nobody'] });
    const items = await collect(core);
    expect(idsOf(items)).toEqual(['young', 'b', 'a']);
    expect(items[1] && toEnvelope(items[1])).toEqual({
      id: 'b',
      sender: 'sender',
      target: 'oven',
      namespace: 'default',
      stream: 's',
      payload: 'b',
      attempt: 3,
      ttl_ms: 5_000,
    });
    expect(deadIds(core)).toEqual(['c']);
    await ack(core, items);
    expect(core.state.mail).toMatchObject({ waiting: 0, deadLetters: 1 });
  });

  it('of one id are put back, or discarded, together', async () => {
    for (const sender of ['alice', 'bob']) {
      await core.mailbox.post('oven', { id: '1', sender, payload: sender }, undefined);
    }
    await ack(core, await collect(core), 'failed');
    const change = (action: 'requeue' | 'discard'): Promise<unknown> =>
      core.mailbox.changeDeadLetters('oven', { action, message_ids: ['1'] });
    expect(await change('requeue')).toMatchObject({ changed: 2, unknown: [] });
    const items = await collect(core);
    expect(idsOf(items)).toEqual(['1', '1']);
    await ack(core, items, 'failed');
    expect(await change('discard')).toMatchObject({ changed: 2, unknown: [] });
    expect(deadIds(core)).toEqual(['a', 'b', 'c']);
  });

  it('are put back once, where their session has sent them anew meanwhile', async () => {
    await core.mailbox.changeDeadLetters('oven', { action: 'requeue' });
    // What went is forgotten.
    const again = await core.restart();
    await again.mailbox.post('oven', envelope('a', { stream: 's', session: 'one', sequence: 1 }), undefined);
    const items = await collect(again);
    expect(idsOf(items)).toEqual(['a', 'b', 'c', 'a']);
    await ack(again, items.slice(3), 'failed');
    await again.mailbox.changeDeadLetters('oven', { action: 'requeue' });
    expect(again.state.mail).toMatchObject({ waiting: 3, deadLetters: 0 });
    await ack(again, items.slice(0, 3));
    expect(again.state.mail).toMatchObject({ waiting: 0, bytes: 0 });
    expect((await again.restart()).state.mail).toMatchObject({ waiting: 0, deadLetters: 0, bytes: 0 });
  });

  it('are put back all or not at all, where there is no room', async () => {
    for (let index = 0; index < QUOTAS.maxMessages - 2; index += 1) await post(`m-${index}`);
    const requeue = core.mailbox.changeDeadLetters('oven', { action: 'requeue' });
    expect(await codeOf(requeue)).toBe('mailbox_full');
    expect(deadIds(core)).toEqual(['a', 'b', 'c']);
  });

  it('may die again', async () => {
    await core.mailbox.changeDeadLetters('oven', { action: 'requeue', ttl_ms: 1_000 });
    await pass(1_000);
    expect(core.mailbox.deadLetters('oven', {}).map(({ code }) => code)).toEqual([
      'expired',
      'expired',
      'expired',
    ]);
    const { state } = await core.restart();
    expect(state.mail.deadLetters).toBe(3);
  });

  it('are discarded, those named or all', async () => {
    const discard = (rest: object): Promise<unknown> =>
      core.mailbox.changeDeadLetters('oven', { action: 'discard', ...rest });
    expect(await discard({ message_ids: ['b', 'x'] })).toMatchObject({ changed: 1, unknown: ['x'] });
    expect(await discard({})).toMatchObject({ changed: 2, unknown: [] });
    expect(await discard({})).toMatchObject({ changed: 0 });
    expect(core.state.mail).toMatchObject({ waiting: 0, deadLetters: 0, bytes: 0 });
  });
});
