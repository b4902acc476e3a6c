import { networkInterfaces } from 'node:os';
import { createNamespaceClient } from '../../src/namespace-client.js';
import type { NamespaceClientOptions } from '../../src/options.js';
import { useClients } from '../support/clients.js';
import { findFreePort } from '../support/free-port.js';
import { useProcesses } from '../support/processes.js';
import { useProxies } from '../support/proxy.js';

const { startRegistry } = useProcesses();
const createClient = useClients();
const startProxy = useProxies();

/** A membrane on a network, and what became of a message to it. */
async function sendTo(options: (registryUrl: string) => Promise<NamespaceClientOptions>) {
  const { url: registryUrl } = await startRegistry();
  const common = { registryUrl, modes: ['network'] as const };
  const oven = createClient('oven', { ...common, ...(await options(registryUrl)) }).client;
  oven.onMessage(() => 'hot');
  await oven.register();
  return createClient('cook', common).client.sendMessage('oven', 'preheat');
}

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

(hasIPv6 ? it : it.skip)('an advertised address of IPv6 is one that it listens on', async () => {
  const advertise = `http://[::1]:${await findFreePort()}`;
  expect(await sendTo(() => Promise.resolve({ advertise }))).toMatchObject({
    outcome: 'processed',
    route: { kind: 'network', address: expect.stringContaining(advertise) as string },
  });
});

it('an advertised port may be mapped to the one that it listens on', async () => {
  const port = await findFreePort();
  const { url: advertise } = await startProxy(port);
  const delivery = await sendTo(() => Promise.resolve({ advertise, listen: { host: '127.0.0.1', port } }));
  expect(delivery).toMatchObject({
    outcome: 'processed',
    route: { kind: 'network', address: expect.stringContaining(advertise) as string },
  });
});

it('where it cannot listen as it was told to, it is not registered', async () => {
  const { url: registryUrl } = await startRegistry();
  const client = createNamespaceClient('oven', { registryUrl, listen: { host: '192.0.2.1' } });
  await expect(client.register()).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining('cannot listen on 192.0.2.1') as string,
  });
  await client.close();
});
