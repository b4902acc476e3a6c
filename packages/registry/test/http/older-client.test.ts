import type { MembraneRecord } from '@membrane/protocol';
import { send } from '../support/http.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();

/** What a client of the older Python registry posts: no token, no instance, times of its own. */
function olderRegistration(id: string, parent: string | null, mode = 'shared-volume'): object {
  return {
    id,
    parent,
    endpoint: `/opt/membrane/communication/${id}`,
    communication_mode: mode,
    health_check_url: null,
    metadata: { version: '0.9' },
    registered_at: 1_600_000_000.5,
    last_heartbeat: 1_600_000_000.5,
  };
}

/** What it reads of a record, and nothing else. */
const read = ({ id, endpoint, communication_mode, metadata }: MembraneRecord): object => ({
  id,
  endpoint,
  communication_mode,
  metadata,
});

describe('a client of the older registry', () => {
  it('registers, is found, renews and leaves', async () => {
    const { url } = await startRegistry();
    const post = async (path: string, body: object): Promise<unknown> =>
      (await send(url, path, { body })).json;
    expect(await post('/register', olderRegistration('worker', null))).toMatchObject({ success: true });
    expect(await post('/heartbeat', { id: 'worker' })).toMatchObject({ success: true });
    const found = await send(url, '/discover/worker');
    expect(read(found.json as MembraneRecord)).toEqual({
      id: 'worker',
      endpoint: '/opt/membrane/communication/worker',
      communication_mode: 'shared-volume',
      metadata: { version: '0.9' },
    });
    expect(await post('/deregister', { id: 'worker' })).toMatchObject({ success: true });
    expect((await send(url, '/discover/worker')).status).toBe(404);
    expect(await post('/heartbeat', { id: 'worker' })).toMatchObject({ success: false });
  });

  it('lists all as a bare array, by parent and by mode', async () => {
    const { url } = await startRegistry();
    await send(url, '/register', { body: olderRegistration('a', null) });
    await send(url, '/register', { body: olderRegistration('b', 'a', 'network') });
    await send(url, '/register', { body: olderRegistration('c', 'a') });
    const list = async (query: string): Promise<string[]> =>
      ((await send(url, `/list${query}`)).json as MembraneRecord[]).map(({ id }) => id);
    expect(await list('')).toEqual(['a', 'b', 'c']);
    expect(await list('?parent=a')).toEqual(['b', 'c']);
    expect(await list('?parent=')).toEqual(['a']);
    expect(await list('?communication_mode=network')).toEqual(['b']);
    expect(await list('?parent=a&communication_mode=shared-volume')).toEqual(['c']);
  });

  it('takes a name over by registering it again, and any of them may renew it', async () => {
    const { url } = await startRegistry();
    const first = await send(url, '/register', { body: olderRegistration('worker', null) });
    const second = await send(url, '/register', {
      body: { ...olderRegistration('worker', null), endpoint: '/new' },
    });
    const incarnations = [first, second].map(({ json }) => (json as { incarnation: number }).incarnation);
    expect(incarnations[1]).toBeGreaterThan(incarnations[0] ?? 0);
    expect((await send(url, '/discover/worker')).json).toMatchObject({ endpoint: '/new' });
    expect((await send(url, '/heartbeat', { body: { id: 'worker' } })).status).toBe(200);
  });

  it("is given the registry's own times and pace", async () => {
    const { url } = await startRegistry();
    const beforeS = Date.now() / 1_000;
    await send(url, '/register', { body: olderRegistration('worker', null) });
    const record = (await send(url, '/discover/worker')).json as MembraneRecord;
    expect(record.heartbeat_interval_ms).toBe(30_000);
    for (const time of [record.registered_at, record.last_heartbeat]) {
      expect(time).toBeGreaterThanOrEqual(Math.floor(beforeS));
      expect(time).toBeLessThanOrEqual(Date.now() / 1_000 + 1);
    }
  });
});
