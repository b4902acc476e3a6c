import { AT, useClients } from './support/clients.js';
import { eventually } from './support/eventually.js';
import { useProcesses } from './support/processes.js';
import { idsAt, journalOf } from './support/registry-view.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const { start, startRegistry } = useProcesses();
const createClient = useClients();
const makeDirectory = useTemporaryDirectories();

const CLIENT = new URL('../dist/index.js', import.meta.url).href;

describe('a client', () => {
  it('that closes leaves the name to the one that registers it next', async () => {
    const { url } = await startRegistry();
    for (let round = 0; round < 10; round += 1) {
      const older = createClient('oven', { registryUrl: url });
      await older.client.register(AT);
      const newer = createClient('oven', { registryUrl: url });
      const closed = older.client.close();
      await newer.client.register(AT);
      await closed;
      expect(await idsAt(url)).toEqual(['oven']);
      await newer.client.close();
    }
  });

  it('keeps one instance at a time', async () => {
    const { url } = await startRegistry();
    const { client } = createClient('oven', { registryUrl: url });
    await client.register({ ...AT, instanceId: 'a' });
    await expect(client.register({ ...AT, instanceId: 'b' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('instanceId must stay "a"') as string,
    });
    expect((await client.status()).instanceId).toBe('a');
    await client.deregister();
    await client.register({ ...AT, instanceId: 'b' });
    await client.close();
    expect(await idsAt(url)).toEqual([]);
  });

  it('that could not deregister can try again, of the very instance', async () => {
    const registry = await startRegistry();
    const data = { registryUrl: registry.url, timeoutMs: 500 };
    const { client } = createClient('oven', data);
    await client.register({ ...AT, instanceId: 'a', heartbeatIntervalMs: 60_000 });
    registry.child.kill('SIGSTOP');
    await expect(client.deregister()).rejects.toMatchObject({ code: 'registry_unreachable' });
    registry.child.kill('SIGCONT');
    await client.deregister();
    expect(await idsAt(registry.url)).toEqual([]);
  });

  it('hears that no registry answers, also where another one of its process heard before', async () => {
    const registry = await startRegistry();
    const first = createClient('first', { registryUrl: registry.url });
    await first.client.register(AT);
    await registry.kill();
    await eventually('the first is told', () => first.events.includes('registryUnreachable'));
    const second = createClient('second', { registryUrl: registry.url });
    const registered = second.client.register({ ...AT, retry: true });
    await eventually('the second is told', () => second.events.includes('registryUnreachable'));
    await startRegistry({ port: registry.port });
    await registered;
    await eventually('both are told', () =>
      [first, second].every(({ events }) => events.includes('registryReachable')),
    );
    // Whose call was answered first is left open.
    expect(second.events.toSorted()).toEqual(['registered', 'registryReachable', 'registryUnreachable']);
    expect(first.events.filter((name) => name === 'registryUnreachable')).toHaveLength(1);
  });

  it('goes on trying in the background when a change is refused meanwhile', async () => {
    const registry = await startRegistry();
    await registry.kill();
    const { client, events } = createClient('oven', { registryUrl: registry.url });
    const patient = client.register({ ...AT, retry: true });
    await eventually('it is told', () => events.includes('registryUnreachable'));
    await expect(client.register({ ...AT, metadata: { heat: 1 } })).rejects.toMatchObject({
      code: 'registry_unreachable',
    });
    await startRegistry({ port: registry.port });
    expect(await patient).toMatchObject({ id: 'oven' });
    expect(await journalOf(registry.url, 'oven')).toHaveLength(1);
  });

  it('waits for a registry that hangs no longer than it was told', async () => {
    const registry = await startRegistry();
    const { client } = createClient('oven', { registryUrl: registry.url, timeoutMs: 400 });
    const other = createClient('lamp', { registryUrl: registry.url });
    await other.client.register(AT);
    registry.child.kill('SIGSTOP');
    await expect(client.register(AT)).rejects.toThrow('no answer within 400 ms');
    registry.child.kill('SIGCONT');
  });

  it('closes within the time that it is given, though the registry hangs', async () => {
    const registry = await startRegistry();
    const { client } = createClient('oven', { registryUrl: registry.url });
    await client.register(AT);
    registry.child.kill('SIGSTOP');
    const startMs = performance.now();
    const leaving = client.deregister().catch((error: unknown) => error);
    await client.close({ signal: AbortSignal.timeout(300) });
    expect(performance.now() - startMs).toBeLessThan(4_000);
    registry.child.kill('SIGCONT');
    await leaving;
  });

  it('that registered by itself holds the process once it registers by a call', async () => {
    const { url } = await startRegistry();
    const code = `
      import { createNamespaceClient } from ${JSON.stringify(CLIENT)};
      const client = createNamespaceClient('oven', { registryUrl: ${JSON.stringify(url)}, sharedRoot: ${JSON.stringify(await makeDirectory())}, heartbeatIntervalMs: 250 });
      console.log(String(client.autoRegister()));
      await client.register();
      let renewals = 0;
      client.on('leaseRenewed', () => { renewals += 1; if (renewals === 8) void client.close(); });
      process.on('exit', () => console.log(String(renewals)));`;
    const app = start(process.execPath, ['--input-type=module', '-e', code]);
    expect(await app.ended).toBe(0);
    expect(app.said).toEqual({ stdout: 'true\n8\n', stderr: '' });
  });

  it('registers by itself again after it left', async () => {
    const { url } = await startRegistry();
    const sharedRoot = await makeDirectory();
    const { client, events } = createClient('oven', { registryUrl: url, sharedRoot });
    expect(client.autoRegister()).toBe(true);
    await eventually('it is registered', () => events.includes('registered'));
    await client.deregister();
    expect(process.env['MEMBRANE_REGISTERED']).toBeUndefined();
    expect(client.autoRegister()).toBe(true);
    await eventually('it is registered again', async () => (await idsAt(url)).includes('oven'));
  });
});
