import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Delivery } from '../src/messaging/delivery.js';
import type { NamespaceClientOptions } from '../src/options.js';
import { eventually } from './support/eventually.js';
import { HUB_ADDRESS, withNetworkHosts, type NetworkHosts } from './support/network-hosts.js';
import { useProcesses, type Process } from './support/processes.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const REGISTRY = fileURLToPath(new URL('../../registry/bin/membrane-registry.js', import.meta.url));
const MEMBER = fileURLToPath(new URL('fixtures/reachable.mjs', import.meta.url));

/** Four processes start on a machine that may have other things to do. */
const DEADLINE_MS = 40_000;

const { start } = useProcesses();
const makeDirectory = useTemporaryDirectories();

/** Two hosts on which a membrane each lives, with the registry in between. */
async function withHosts(
  isOneNetwork: boolean,
  work: (parts: {
    /** A membrane on a host, which shares no directory with others but what it is given. */
    join: (
      id: string,
      host: string,
      options?: NamespaceClientOptions & { relay?: boolean },
    ) => Promise<Process>;
  }) => Promise<void>,
): Promise<void> {
  await withNetworkHosts({ hosts: ['left', 'right'], isOneNetwork }, async (hosts) => {
    const registryUrl = await startRegistry(hosts);
    const directory = await makeDirectory();
    await work({
      join: async (id, host, { relay = false, ...options } = {}) => {
        const clientOptions = {
          registryUrl,
          sharedRoot: join(directory, `volume-of-${id}`),
          socketDirectory: join(directory, `sockets-of-${id}`),
          ...options,
        };
        const args = [MEMBER, id, JSON.stringify(clientOptions), JSON.stringify({ relay })];
        const member = startOn(hosts, host, args);
        await answer(member, 'registered');
        return member;
      },
    });
  });
}

it('a volume that both mount is the way where no network leads there', async () => {
  await withHosts(false, async ({ join: joinAs }) => {
    const sharedRoot = await makeDirectory();
    const oven = await joinAs('oven', 'right', { sharedRoot });
    const cook = await joinAs('cook', 'left', { sharedRoot });
    const delivery = await send(cook, 'oven', 'bread');
    expect(delivery).toMatchObject({ outcome: 'queued', route: { kind: 'shared-volume' } });
    // It was tried, and there is no way.
    expect(delivery.attempts).toContainEqual(
      expect.objectContaining({ route: 'network', result: 'not_delivered' }),
    );
    expect(await answer(oven, 'handled')).toEqual({ sender: 'cook', payload: 'bread', path: [] });
  });
}, 120_000);

it('a network that both are on is the way where they share no volume', async () => {
  await withHosts(true, async ({ join: joinAs }) => {
    const oven = await joinAs('oven', 'right');
    const cook = await joinAs('cook', 'left');
    const delivery = await send(cook, 'oven', 'bread');
    expect(delivery).toMatchObject({ outcome: 'processed', route: { kind: 'network' } });
    expect(delivery.route.address).toContain('http://10.99.1.3:');
    expect(await answer(oven, 'handled')).toEqual({ sender: 'cook', payload: 'bread', path: [] });
    expect(await send(oven, 'cook', 'done')).toMatchObject({ route: { kind: 'network' } });
    expect(await answer(cook, 'handled')).toEqual({ sender: 'oven', payload: 'done', path: [] });
  });
}, 120_000);

it('a common parent that relays is the way where they share nothing else', async () => {
  await withHosts(false, async ({ join: joinAs }) => {
    const kitchen = await joinAs('kitchen', 'hub', { relay: true });
    const oven = await joinAs('oven', 'right', { parent: 'kitchen' });
    const cook = await joinAs('cook', 'left', { parent: 'kitchen' });
    const delivery = await send(cook, 'oven', 'bread');
    expect(delivery).toMatchObject({ outcome: 'processed', route: { kind: 'relay', address: 'kitchen' } });
    expect(await answer(oven, 'handled')).toEqual({ sender: 'cook', payload: 'bread', path: ['kitchen'] });
    expect(kitchen.said.stdout).not.toContain('handled');
  });
}, 120_000);

it('the mailbox of the registry is the way where they share nothing', async () => {
  await withHosts(false, async ({ join: joinAs }) => {
    const oven = await joinAs('oven', 'right');
    const cook = await joinAs('cook', 'left');
    const delivery = await send(cook, 'oven', 'bread');
    expect(delivery).toMatchObject({ outcome: 'queued', route: { kind: 'mailbox' } });
    expect(await answer(oven, 'handled')).toEqual({ sender: 'cook', payload: 'bread', path: [] });
    // That it is handled is told by the same way.
    const awaited = await send(cook, 'oven', 'cake', { waitFor: 'processed' });
    expect(awaited).toMatchObject({ outcome: 'processed', route: { kind: 'mailbox' } });
  });
}, 120_000);

function startOn(hosts: NetworkHosts, host: string, args: readonly string[]): Process {
  const [command = '', ...rest] = hosts.on(host);
  return start(command, [...rest, process.execPath, ...args]);
}

async function startRegistry(hosts: NetworkHosts): Promise<string> {
  const args = ['--host', HUB_ADDRESS, '--allow-anonymous', '--port', '0', '--data', ':memory:'];
  const registry = startOn(hosts, 'hub', [REGISTRY, ...args]);
  return eventually(
    'the registry is ready',
    () => {
      if (registry.child.exitCode !== null) throw new Error(registry.said.stdout + registry.said.stderr);
      return /"url":"([^"]+)".*"msg":"ready"/.exec(registry.said.stdout)?.[1];
    },
    DEADLINE_MS,
  );
}

async function send(member: Process, target: string, payload: string, options = {}): Promise<Delivery> {
  member.child.stdin?.write(`${JSON.stringify({ target, payload, options })}\n`);
  return (await answer(member, 'delivery')) as Delivery;
}

/** What a member prints next behind a word. */
function answer(member: Process, word: string): Promise<unknown> {
  return eventually(
    `${word} is printed`,
    () => {
      const { stdout, stderr } = member.said;
      if (stderr !== '') throw new Error(stderr);
      const error = /^error (.*)$/m.exec(stdout)?.[1];
      if (error !== undefined) throw new Error(error);
      const line = new RegExp(`^${word} (.*)\\n`, 'm').exec(stdout);
      if (line === null) return undefined;
      member.said.stdout = stdout.replace(line[0], '');
      return { value: JSON.parse(line[1] ?? '') as unknown };
    },
    DEADLINE_MS,
  ).then(({ value }) => value);
}
