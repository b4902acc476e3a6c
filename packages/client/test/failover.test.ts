import { acquireRegistry } from '../src/registry-pool.js';
import { AT, useClients } from './support/clients.js';
import { eventually } from './support/eventually.js';
import { useProcesses } from './support/processes.js';
import { idsAt } from './support/registry-view.js';

const { startRegistry } = useProcesses();
const createClient = useClients();

describe('the clients of a process', () => {
  it('call the registry that their leases have moved to', async () => {
    const first = await startRegistry();
    const second = await startRegistry();
    const { client } = createClient('oven', { registryUrl: [first.url, second.url] });
    await client.register(AT);
    expect(client.registry.url).toBe(first.url);
    await first.kill();
    await eventually('the lease is at the second registry', async () =>
      (await idsAt(second.url)).includes('oven'),
    );
    expect(client.registry.url).toBe(second.url);
    await startRegistry({ port: first.port });
    await client.close();
    expect(await idsAt(second.url)).toEqual([]);
  });

  it('share one keeper of leases, whatever time each gives its calls', async () => {
    const { url } = await startRegistry();
    const older = createClient('oven', { registryUrl: url, timeoutMs: 5_000 });
    const newer = createClient('oven', { registryUrl: url, timeoutMs: 6_000 });
    await older.client.register(AT);
    await newer.client.register(AT);
    expect(older.events).toEqual(['registered', 'superseded']);
    expect((await newer.client.status()).state).toBe('held');
  });

  it('let go of a registry when the last of them does', async () => {
    const { url } = await startRegistry();
    const request = { urls: [url], leaseToken: 'a-token-of-32-characters-or-more' };
    const one = acquireRegistry(request);
    const other = acquireRegistry(request);
    expect(other.keeper).toBe(one.keeper);
    const ask = () =>
      other.connection.request({ method: 'GET', path: '/status', timeoutMs: 5_000, isAnswer: () => true });
    one.release();
    one.release();
    expect((await ask()).status).toBe(200);
    other.release();
    await expect(ask()).rejects.toMatchObject({ code: 'client_closed' });
    const later = acquireRegistry(request);
    expect(later.keeper).not.toBe(one.keeper);
    later.release();
  });
});
