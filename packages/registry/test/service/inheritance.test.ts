import type { MembraneError } from '@membrane/protocol';
import { collect, deadIds, envelope, idsOf, toEnvelope } from '../support/mail.js';
import { codeOf, registration, RegistryCore } from '../support/registry-core.js';

const DAY_MS = 86_400_000;

let core: RegistryCore;

beforeEach(async () => {
  core = await new RegistryCore().load();
  for (const [id, parent] of [
    ['house', null],
    ['kitchen', 'house'],
    ['hall', 'house'],
    ['oven', 'kitchen'],
  ] as const) {
    await core.service.register(registration(id, { parent, heartbeat_interval_ms: DAY_MS }));
  }
});

const post = (id: string, messageId: string, rest: Parameters<typeof envelope>[1] = {}): Promise<unknown> =>
  core.mailbox.post(id, envelope(messageId, rest), undefined);
const collected = async (id: string): Promise<string[]> => idsOf(await collect(core, { id }));

describe('the messages of a dissolved membrane', () => {
  it('go to its heir in their order, those that waited and those that come', async () => {
    await post('oven', 'm1');
    await post('kitchen', 'm2');
    await core.tree.dissolve('oven', {});
    await post('oven', 'm3');
    await core.tick(2);
    await post('oven', 'm4');
    expect(await collected('kitchen')).toEqual(['m2', 'm1', 'm3', 'm4']);
    expect(core.state.mail.box('default', 'oven')).toBeUndefined();
  });

  it('are messages of their own there', async () => {
    const numbered = {
      session: 's',
      stream: 'orders',
      sequence: 7,
      floor: 7,
      instance_id: 'r1',
      type: 'order',
    };
    await post('oven', 'm1', numbered);
    await core.tree.dissolve('oven', {});
    await core.tick(2);
    await post('oven', 'm2', { ...numbered, sequence: 8 });
    for (const item of await collect(core, { id: 'kitchen' })) {
      const { id, target, payload, type, stream, ...rest } = toEnvelope(item);
      expect({ target, payload, type, stream }).toEqual({
        target: 'kitchen',
        payload: id,
        type: 'order',
        stream: 'orders',
      });
      expect(Object.keys(rest).sort()).toEqual(['attempt', 'namespace', 'sender', 'ttl_ms']);
    }
  });

  it('arrive once, whichever way they are repeated', async () => {
    await post('oven', 'm1');
    await post('kitchen', 'm2');
    await post('oven', 'm2');
    await core.tree.dissolve('oven', {});
    await core.tick(2);
    await post('oven', 'm1');
    await post('oven', 'm2');
    expect(await collected('kitchen')).toEqual(['m2', 'm1']);
  });

  it('wait until the heir has room, also through a restart', async () => {
    for (let index = 0; index < 10; index += 1) await post('kitchen', `full-${index}`);
    await post('oven', 'm1');
    await core.tree.dissolve('oven', {});
    await core.tick(2);
    core = await core.restart();
    await core.tick(2);
    const items = await collect(core, { id: 'kitchen' });
    expect(items).toHaveLength(10);
    const acks = items.map(({ receipt }) => ({ receipt, outcome: 'processed' as const }));
    await core.mailbox.ack('kitchen', { acks });
    await core.pass(1_200);
    expect(await collected('kitchen')).toEqual(['m1']);
  });

  it('expire where there is no heir, and nobody can leave more', async () => {
    await core.tree.dissolve('kitchen', {});
    await post('house', 'm1', { ttl_ms: 1_000 });
    await core.tree.dissolve('house', {});
    await expect(post('house', 'm2')).rejects.toMatchObject({
      code: 'not_found',
      message: '"house" in namespace "default" was dissolved; it has no heir',
    } satisfies Partial<MembraneError>);
    await core.pass(1_500);
    expect(deadIds(core, 'house')).toEqual(['m1']);
  });

  it('are out of the box before another membrane takes the name', async () => {
    await post('oven', 'm1');
    await core.tree.dissolve('oven', {});
    await core.service.register(registration('oven', { heartbeat_interval_ms: DAY_MS }));
    expect(await collected('oven')).toEqual([]);
    expect(await collected('kitchen')).toEqual(['m1']);
  });

  it('wake an heir who waits for them', async () => {
    await post('oven', 'm1');
    const waiting = core.mailbox.collect(
      'kitchen',
      { wait_ms: 60_000 },
      undefined,
      new AbortController().signal,
    );
    await core.tree.dissolve('oven', {});
    await core.tick(2);
    expect(idsOf(await waiting)).toEqual(['m1']);
  });

  it('go to the first sibling that a division names', async () => {
    await post('kitchen', 'm1');
    await core.tree.divide('kitchen', { heirs: { oven: 'hall' } });
    await core.tick(2);
    expect(await collected('hall')).toEqual(['m1']);
    await core.tree.dissolve('hall', {});
    await post('kitchen', 'm2');
    await core.tick(2);
    expect(await collected('house')).toEqual(['m1', 'm2']);
  });

  it('that died can be put back, for the heir', async () => {
    await post('oven', 'm1', { ttl_ms: 100 });
    await core.tick(3);
    await core.tree.dissolve('oven', {});
    await core.tick(2);
    expect(await codeOf(core.mailbox.changeDeadLetters('oven', { action: 'requeue' }))).toBe('done');
    await core.tick(2);
    expect(await collected('kitchen')).toEqual(['m1']);
  });
});
