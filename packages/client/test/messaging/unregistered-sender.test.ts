import { eventually } from '../support/eventually.js';
import { useOneHost } from '../support/one-host.js';

const { begin } = useOneHost();

/** Long enough for several tries. */
const TIMEOUT_MS = 1_500;

describe('a client that is not registered', () => {
  it.each(['ipc', 'network'] as const)(
    'gets by %s what its receiver says',
    async (mode) => {
      const { create, join } = await begin();
      const { handled } = await join('oven', { modes: [mode, 'shared-volume'] });
      const cook = create('cook');
      const delivery = await cook.sendMessage('oven', 1, { waitFor: 'processed' });
      expect(delivery).toMatchObject({ outcome: 'processed', route: { kind: mode } });
      expect(await cook.request('oven', 2)).toBe('oven has it');
      expect(handled()).toEqual([1, 2]);
      expect((await cook.status()).state).toBe('unregistered');
    },
    120_000,
  );

  it('that waits is not sent where only a directory leads, and says so', async () => {
    const { create, join } = await begin();
    const { handled } = await join('oven', { modes: ['shared-volume'] });
    const cook = create('cook');
    const failure = {
      code: 'not_delivered',
      message: expect.stringContaining('no route leads to "oven"') as string,
    };
    const left = { result: 'skipped', reason: expect.stringContaining('not registered') as string };
    const attempts = [
      { route: 'shared-volume', ...left },
      { route: 'mailbox', ...left },
    ];
    for (const sent of [
      cook.sendMessage('oven', 1, { waitFor: 'processed', timeoutMs: TIMEOUT_MS }),
      cook.request('oven', 2, { timeoutMs: TIMEOUT_MS }),
    ]) {
      await expect(sent).rejects.toMatchObject({ ...failure, details: { attempts } });
    }
    await cook.sendMessage('oven', 'nobody waits');
    await eventually('it is handled', () => handled().length > 0);
    expect(handled()).toEqual(['nobody waits']);
  }, 120_000);

  it('that waits is not sent to the mailbox, and tells what was tried', async () => {
    const { create, join } = await begin();
    const oven = await join('oven', { modes: ['network'] });
    const cook = create('cook');
    await cook.sendMessage('oven', 'before');
    await oven.client.close();
    await create('oven', { receive: false }).register({ endpoint: 'http://127.0.0.1:1' });
    const error: unknown = await cook
      .request('oven', 1, { timeoutMs: TIMEOUT_MS })
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      code: 'not_delivered',
      message: expect.stringMatching(/^"oven" was not reached in time: /) as string,
    });
    const { attempts } = (error as { details: { attempts: { route: string }[] } }).details;
    expect(attempts.length).toBeGreaterThan(0);
    expect(new Set(attempts.map(({ route }) => route))).toEqual(new Set(['network', 'mailbox']));
    expect((await cook.sendMessage('oven', 'nobody waits')).route.kind).toBe('mailbox');
  }, 120_000);
});
