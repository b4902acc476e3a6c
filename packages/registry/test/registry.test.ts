import { MemoryMembraneStore } from '../src/store/memory-membrane-store.js';
import { eventually } from './support/eventually.js';
import { send } from './support/http.js';
import { FlakyStore, registration } from './support/registry-core.js';
import { useRegistries } from './support/test-registry.js';

const startRegistry = useRegistries();

it('a registry whose store cannot write starts, serves what there is, and is ready when it can', async () => {
  const store = new FlakyStore(new MemoryMembraneStore());
  const first = await startRegistry({}, { store });
  await send(first.url, '/register', { body: registration('oven', { heartbeat_interval_ms: 60_000 }) });
  await first.registry.stop();
  store.isFailing = true;
  const { url } = await startRegistry({}, { store });
  expect((await send(url, '/discover/oven')).status).toBe(200);
  expect((await send(url, '/heartbeat', { body: { id: 'oven' } })).status).toBe(200);
  expect((await send(url, '/health/ready')).status).toBe(503);
  store.isFailing = false;
  await eventually('it is ready', async () => (await send(url, '/health/ready')).status === 200);
});
