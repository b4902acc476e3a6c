import { join } from 'node:path';
import { LIMITS, type Envelope } from '@membrane/protocol';
import type { NamespaceClient, NamespaceClientOptions } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import { useOneHost } from '../support/one-host.js';

const { begin } = useOneHost();

async function urlOf(client: NamespaceClient, id: string): Promise<string> {
  const membrane = await client.discover(id);
  const url = membrane?.endpoints.find(({ mode }) => mode === 'network')?.address;
  if (url === undefined) throw new Error(`"${id}" has no URL`);
  return url;
}

async function postTo(url: string, envelope: Envelope): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(envelope),
  });
  return { status: response.status, body: await response.json() };
}

const strangers = (count: number): string[] => Array.from({ length: count }, (_, index) => `hop-${index}`);

describe('a relay that gets a message by POST', () => {
  it.each([
    ['that has passed it already', ['attic', 'kitchen', 'cellar']],
    [`that ${LIMITS.maxHops} others have passed on`, strangers(LIMITS.maxHops)],
  ])(
    '%s refuses it, and passes nothing on',
    async (_, path) => {
      const { join: joinAs } = await begin();
      const { client } = await joinAs('kitchen', { relay: true });
      const oven = await joinAs('oven', { parent: 'kitchen' });
      const url = await urlOf(client, 'kitchen');
      const envelope = { id: 'm-1', sender: 'stranger', target: 'oven', payload: 'round and round' };
      const { status, body } = await postTo(url, { ...envelope, path });
      expect(status).toBe(508);
      expect(body).toMatchObject({
        code: 'routing_loop',
        detail: `passed on by ${[...path, 'kitchen'].join(', ')}`,
      });
      // What comes behind it would come after it.
      const last = await postTo(url, {
        ...envelope,
        id: 'm-2',
        payload: 'straight',
        path: path.slice(-1).map(() => 'attic'),
      });
      expect(last).toMatchObject({ status: 200, body: { outcome: 'processed' } });
      expect(oven.messages.map(({ payload, path: hops }) => [payload, hops])).toEqual([
        ['straight', ['attic', 'kitchen']],
      ]);
    },
    120_000,
  );
});

describe('relays one behind the other', () => {
  /** Each shares the sockets with one neighbour, and the network with the other one. */
  const inChain = (directory: string, place: number): NamespaceClientOptions => ({
    networkRealm: `network-${Math.floor((place + 1) / 2)}`,
    socketDirectory: join(directory, `sockets-${Math.floor(place / 2)}`),
    modes: ['ipc', 'network'],
    cache: { ttlMs: 60_000 },
  });

  it.each([
    [LIMITS.maxHops, 'processed'],
    [LIMITS.maxHops + 1, 'queued'],
  ])(
    '%d of them lead to an outcome that is %s',
    async (count, outcome) => {
      const { directory, join: joinAs, create } = await begin();
      for (let place = count; place >= 1; place -= 1) {
        const parent = place === count ? undefined : `relay-${place + 1}`;
        await create(`relay-${place}`, { ...inChain(directory, place), parent }).register({ relay: true });
      }
      const oven = await joinAs('oven', inChain(directory, count + 1));
      const cook = create('cook', { ...inChain(directory, 0), parent: 'relay-1' });
      await cook.register();
      const delivery = await cook.sendMessage('oven', 'far away');
      expect(delivery).toMatchObject({ outcome, route: { kind: 'relay', address: 'relay-1' } });
      await eventually('it is handled', () => oven.messages.length > 0);
      const hops = Array.from({ length: LIMITS.maxHops }, (_, index) => `relay-${index + 1}`);
      expect(oven.messages.map(({ payload, path }) => [payload, path])).toEqual([['far away', hops]]);
    },
    60_000,
  );
});
