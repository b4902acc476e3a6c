import { ack, collect, deadIds, envelope, idsOf } from '../support/mail.js';
import { codeOf, registration, RegistryCore } from '../support/registry-core.js';

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

describe('durability', () => {
  it('finds mail, dead letters and their counts again, and hands out anew what was out', async () => {
    for (const id of ['a', 'b', 'c', 'd']) await post(id);
    const items = await collect(core, { max: 2 });
    await ack(core, items.slice(0, 1), 'failed', { reason: 'too hot' });
    const again = await core.restart();
    expect(again.state.mail).toMatchObject({
      waiting: core.state.mail.waiting,
      bytes: core.state.mail.bytes,
      deadLetters: 1,
    });
    expect(again.mailbox.deadLetters('oven', {})).toEqual(core.mailbox.deadLetters('oven', {}));
    const handed = await collect(again);
    expect(handed.map(({ mail, attempt }) => [mail.messageId, attempt])).toEqual([
      ['b', 2],
      ['c', 2],
      ['d', 2],
    ]);
    // A receipt of the run before is void, and can be mistaken for none of this one.
    expect(await ack(again, items.slice(1))).toMatchObject({ unknown: [items[1]?.receipt] });
    await again.mailbox.post('oven', envelope('e'), undefined);
    const last = await collect(again);
    expect(last.map(({ mail, attempt }) => [mail.messageId, attempt])).toEqual([['e', 1]]);
  });

  it('changes nothing where the store fails', async () => {
    await post('a');
    await post('dying', { ttl_ms: 1_000 });
    const items = await collect(core, { max: 1 });
    core.store.isFailing = true;
    expect(await codeOf(post('b'))).toBe('store_unavailable');
    expect(await codeOf(ack(core, items))).toBe('store_unavailable');
    await pass(1_000);
    expect(core.state.mail).toMatchObject({ waiting: 2, deadLetters: 0 });
    core.store.isFailing = false;
    expect(await ack(core, items)).toMatchObject({ unknown: [] });
    await post('b');
    // What could not die is tried again.
    await pass(1_000);
    expect(deadIds(core)).toEqual(['dying']);
    expect(idsOf(await collect(core))).toEqual(['b']);
  });

  it('says which row of the store cannot be read', async () => {
    await post('a');
    for (const [key, value, fault] of [
      ['mail/default/oven/2', { envelope: '{', attempt: 1, bytes: 1, deadlineMs: 1 }, 'as JSON'],
      ['mail/default/oven/3', { envelope: '{"id":"x"}', attempt: 1, bytes: 1, deadlineMs: 1 }, 'sender'],
      ['mail/default/oven/4', { envelope: 7 }, 'attempt'],
      ['mail/default/oven/x', { envelope: '{}', attempt: 1, bytes: 1, deadlineMs: 1 }, 'whole number'],
      ['mail/oven', {}, '3 names'],
      ['dead/default/oven/9', { code: 'expired', reason: '', diedAtMs: 1 }, 'belongs to no message'],
      ['dead/default/oven/1', { code: 'expired' }, 'reason'],
    ] as const) {
      await core.store.commit([{ puts: [{ key, value }], deletes: [] }]);
      const failed = core.restart();
      await expect(failed).rejects.toThrow(`is damaged: the row "${key}"`);
      await expect(failed).rejects.toThrow(fault);
      await core.store.commit([{ puts: [], deletes: [key] }]);
    }
    expect(idsOf(await collect(await core.restart()))).toEqual(['a']);
  });
});

describe('a membrane that is away', () => {
  const isKnown = (): boolean => core.state.directory.node('default', 'oven') !== undefined;

  async function passDay(): Promise<void> {
    await pass(DAY_MS);
    await core.tick();
  }

  it('keeps its place as long as it has mail, or dead letters', async () => {
    await core.service.deregister({ id: 'oven' });
    await post('a', { ttl_ms: 3 * DAY_MS });
    for (let day = 0; day < 3; day += 1) await passDay();
    expect(deadIds(core)).toEqual(['a']);
    for (let day = 0; day < 6; day += 1) {
      await passDay();
      expect(isKnown()).toBe(true);
    }
    for (let day = 0; day < 3; day += 1) await passDay();
    expect(isKnown()).toBe(false);
    expect(await codeOf(post('b'))).toBe('not_found');
  });

  it('goes after a day without any', async () => {
    await core.service.deregister({ id: 'oven' });
    await passDay();
    expect(isKnown()).toBe(false);
  });
});
