import { networkInterfaces } from 'node:os';
import { findListenAddress } from '../../src/transports/local-address.js';

const OWN = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));

it.each(['http://127.0.0.1:8765', 'http://localhost:8765', 'http://[::1]:8765', 'https://127.9.9.9'])(
  'is loopback where the registry is at %s',
  async (registryUrl) => {
    const { host, port, advertisedUrl } = await findListenAddress({ registryUrl });
    expect({ host, port, url: advertisedUrl(41_000) }).toEqual({
      host: '127.0.0.1',
      port: 0,
      url: 'http://127.0.0.1:41000',
    });
  },
);

it('is an address of this machine, and no link-local one, where the registry is elsewhere', async () => {
  for (const registryUrl of [
    'http://192.0.2.7:8765',
    'http://[2001:db8::7]:8765',
    'http://registry.invalid',
  ]) {
    const { host, advertisedUrl } = await findListenAddress({ registryUrl });
    expect(OWN).toContain(host);
    expect(host).not.toMatch(/^(fe80|169\.254)/);
    expect(new URL(advertisedUrl(41_000)).hostname.replace(/[[\]]/g, '')).toBe(host);
  }
});

it('is the interface that leads to the registry', async () => {
  const outward = OWN.find((address) => !/^(127\.|::1|fe80|169\.254)/.test(address));
  if (outward === undefined) return;
  const registryUrl = outward.includes(':') ? `http://[${outward}]:1` : `http://${outward}:1`;
  await expect(findListenAddress({ registryUrl })).resolves.toMatchObject({ host: outward });
});

describe('with an address to advertise', () => {
  const registryUrl = 'http://192.0.2.7:8765';

  const everywhere = OWN.some((address) => address.includes(':')) ? '::' : '0.0.0.0';

  it.each([
    ['http://oven.example:9000/', 9_000, 'http://oven.example:9000'],
    ['http://[::1]:9000', 9_000, 'http://[::1]:9000'],
    ['http://oven.example', 80, 'http://oven.example'],
  ])('listens everywhere, by IPv6 too, at the port of %s', async (advertise, port, url) => {
    const address = await findListenAddress({ registryUrl, advertise });
    expect(address).toMatchObject({ host: everywhere, port });
    expect(address.advertisedUrl(1)).toBe(url);
  });

  it('wants to be told where to listen where that URL is https', async () => {
    const advertise = 'https://oven.example/edge';
    await expect(findListenAddress({ registryUrl, advertise })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(
        /^advertise .*listen .*MEMBRANE_LISTEN.*; got "https:\/\/oven\.example\/edge"$/,
      ) as string,
    });
    const address = await findListenAddress({ registryUrl, advertise, listen: { port: 8_000 } });
    expect(address).toMatchObject({ host: everywhere, port: 8_000 });
    expect(address.advertisedUrl(8_000)).toBe('https://oven.example/edge');
  });

  it('listens where it was told to', async () => {
    const listen = { host: '127.0.0.1', port: 0 };
    const address = await findListenAddress({ registryUrl, advertise: 'http://oven.example:9000', listen });
    expect(address).toMatchObject(listen);
    expect(address.advertisedUrl(1)).toBe('http://oven.example:9000');
  });
});

it('tells an address that others can use where it was told to listen everywhere', async () => {
  const registryUrl = 'http://127.0.0.1:8765';
  const address = await findListenAddress({ registryUrl, listen: { host: '0.0.0.0', port: 4_000 } });
  expect(address).toMatchObject({ host: '0.0.0.0', port: 4_000 });
  expect(address.advertisedUrl(4_000)).toBe('http://127.0.0.1:4000');
});
