import type { MailboxItem, MembraneTree } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { useRegistryProcesses } from '../support/registry-process.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();
const startRegistry = useRegistryProcesses();

/** More than one slice of the sweeper. */
const CHILDREN = 1_200;
const AT_ONCE = 64;

it('has every child and message where they belong after it was killed while it hands them over', async () => {
  const args = ['--port', '0', '--data', await makeDirectory()];
  let registry = await startRegistry(args);
  const register = (id: string, parent: string | null): Promise<unknown> =>
    send(registry.url, '/register', {
      body: registration(id, { parent, heartbeat_interval_ms: 86_400_000 }),
    });
  await register('house', null);
  await register('kitchen', 'house');
  await register('hall', 'house');
  const messages: string[] = [];
  const ids = Array.from({ length: CHILDREN }, (_, index) => `spoon-${index}`);
  for (let start = 0; start < CHILDREN; start += AT_ONCE) {
    await Promise.all(ids.slice(start, start + AT_ONCE).map((id) => register(id, 'kitchen')));
  }
  for (const id of ['m1', 'm2', 'm3']) {
    await send(registry.url, '/messages/kitchen', { body: { id, sender: 'cook', payload: id } });
  }
  const changes = [
    ['/membranes/kitchen/divide', { heirs: { 'spoon-7': 'hall' } }],
    ['/membranes/hall/dissolve', {}],
  ] as const;
  for (const [path, body] of changes) {
    expect((await send(registry.url, path, { body })).status).toBe(200);
    await registry.end('SIGKILL');
    registry = await startRegistry(args);
  }
  const [house, ...others] = (await send(registry.url, '/tree')).json as MembraneTree[];
  expect([house?.id, others]).toEqual(['house', []]);
  expect(house?.children.map(({ id }) => id).sort()).toEqual(ids.sort());
  const received = await eventually('the messages are there', async () => {
    const items = (await send(registry.url, '/messages/house?wait_ms=5000')).json as MailboxItem[];
    messages.push(...items.map(({ envelope }) => String(envelope.id)));
    return messages.length >= 3 && messages;
  });
  expect(received).toEqual(['m1', 'm2', 'm3']);
}, 180_000);
