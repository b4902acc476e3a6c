import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { MembraneEvent, MembraneRecord, RegistryStatus } from '@membrane/protocol';
import { pino } from 'pino';
import type { RegistryOptions } from '../../src/options.js';
import { eventually } from '../support/eventually.js';
import { useEventSources } from '../support/event-source.js';
import { send } from '../support/http.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();
const openEventSource = useEventSources();
const makeDirectory = useTemporaryDirectories();

const ON: Partial<RegistryOptions> = {
  healthChecks: true,
  healthCheckIntervalMs: 100,
  // Long, so that nobody is unhealthy for a slow machine.
  healthCheckTimeoutMs: 30_000,
  healthCheckFailureThreshold: 2,
  healthCheckSuccessThreshold: 2,
};

const services: Server[] = [];

afterEach(async () => {
  for (const service of services.splice(0)) {
    service.closeAllConnections();
    service.close();
    await once(service, 'close');
  }
});

/** A process that can be made sick. */
async function startService(): Promise<{ url: string; status: number; requests: number }> {
  const service = { url: '', status: 200, requests: 0 };
  const server = createServer((_, response) => {
    service.requests += 1;
    response.writeHead(service.status).end();
  });
  services.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`;
  return service;
}

const register = async (url: string, id: string, rest: object): Promise<void> => {
  const { status } = await send(url, '/register', {
    body: {
      id,
      endpoint: `/run/${id}`,
      communication_mode: 'ipc',
      heartbeat_interval_ms: 86_400_000,
      ...rest,
    },
  });
  expect(status).toBe(200);
};
type Discovered = MembraneRecord & { instances: MembraneRecord[] };
const discover = async (url: string, id: string): Promise<Discovered> =>
  (await send(url, `/discover/${id}`)).json as Discovered;
const becomes = (url: string, id: string, status: string): Promise<MembraneRecord> =>
  eventually(`${id} is ${status}`, async () => {
    const found = await discover(url, id);
    return found.status === status ? found : undefined;
  });
const eventsOf = async (url: string, id: string): Promise<string[]> =>
  ((await send(url, `/events?membrane=${id}`)).json as MembraneEvent[]).map(({ event }) => event);

it('the sick are unhealthy and say why, the healthy replica is found first, and who is well again recovers', async () => {
  const [left, right] = [await startService(), await startService()];
  const { url } = await startRegistry(ON);
  await register(url, 'oven', { instance_id: 'left', health_check_url: left.url });
  await register(url, 'oven', { instance_id: 'right', health_check_url: right.url });
  expect((await discover(url, 'oven')).instance_id).toBe('left');
  const watching = await openEventSource(url, '/watch');
  left.status = 503;
  const unhealthy = await watching.hears('that it is unhealthy', ({ data }) => data.event === 'unhealthy');
  expect(unhealthy.data).toMatchObject({
    instance_id: 'left',
    record: { failing_check: { reason: 'it answered 503', since: expect.any(Number) as number } },
  });
  const found = await discover(url, 'oven');
  expect(found.instances.map(({ instance_id, status }) => [instance_id, status])).toEqual([
    ['right', 'active'],
    ['left', 'unhealthy'],
  ]);
  expect(found.failing_check).toBeUndefined();
  expect(found.instances[1]?.failing_check?.reason).toBe('it answered 503');

  // It renews, and stays unhealthy.
  const revision = (await send(url, '/status')).headers['x-membrane-revision'];
  const { status } = await send(url, '/heartbeat', { body: { id: 'oven', instance_id: 'left' } });
  expect(status).toBe(200);
  const { requests } = left;
  await eventually('it was asked again', () => left.requests > requests + 2);
  const { json, headers } = await send(url, '/status');
  expect(headers['x-membrane-revision']).toBe(revision);
  expect(json).toMatchObject({
    counts: { active: 1, unhealthy: 1, draining: 0 },
    health_checks: { checked: 2, failing: 1, refused: 0 },
  } satisfies Partial<RegistryStatus>);

  left.status = 200;
  await watching.hears('that it recovered', ({ data }) => data.event === 'recovered');
  expect((await discover(url, 'oven')).instances.map(({ failing_check }) => failing_check)).toEqual([
    undefined,
    undefined,
  ]);
});

it('a passing check keeps no lease', async () => {
  const service = await startService();
  const { url } = await startRegistry(ON);
  await register(url, 'oven', { health_check_url: service.url, heartbeat_interval_ms: 500 });
  await becomes(url, 'oven', 'unhealthy');
  expect((await discover(url, 'oven')).failing_check).toBeUndefined();
  await eventually('it is gone', async () => (await send(url, '/discover/oven')).status === 404);
  expect(service.requests).toBeGreaterThan(0);
  expect(await eventsOf(url, 'oven')).toEqual(['registered', 'unhealthy', 'expired']);
});

it('a restart keeps who is sick; one without checks takes it back', async () => {
  const service = await startService();
  const options = { ...ON, data: await makeDirectory() };
  const first = await startRegistry(options);
  service.status = 500;
  await register(first.url, 'oven', { health_check_url: service.url });
  const { failing_check } = await becomes(first.url, 'oven', 'unhealthy');
  await first.registry.stop();

  const second = await startRegistry(options);
  expect(await discover(second.url, 'oven')).toMatchObject({ status: 'unhealthy', failing_check });
  service.status = 200;
  await becomes(second.url, 'oven', 'active');
  service.status = 500;
  await becomes(second.url, 'oven', 'unhealthy');
  await second.registry.stop();

  const { requests } = service;
  const third = await startRegistry({ ...options, healthChecks: false });
  await becomes(third.url, 'oven', 'active');
  expect(service.requests).toBe(requests);
  expect(((await send(third.url, '/status')).json as RegistryStatus).health_checks).toBeUndefined();
  expect((await eventsOf(third.url, 'oven')).slice(-2)).toEqual(['unhealthy', 'recovered']);
});

it('a URL that is replaced, or goes, is asked no more', async () => {
  const [before, after] = [await startService(), await startService()];
  const { url } = await startRegistry(ON);
  await register(url, 'oven', { health_check_url: before.url });
  await eventually('it is asked', () => before.requests > 0);
  await register(url, 'oven', { health_check_url: after.url });
  await eventually('the new one is asked', () => after.requests > 0);
  const { requests } = before;
  await eventually('the new one is asked again', () => after.requests > 3);
  // One may have been on its way.
  expect(before.requests).toBeLessThanOrEqual(requests + 1);
  await send(url, '/deregister', { body: { id: 'oven' } });
  await eventually('nobody is asked', async () => {
    const { json } = await send(url, '/status');
    return (json as RegistryStatus).health_checks?.checked === 0;
  });
});

it('what may not be asked is told once, and does no harm to who registers it', async () => {
  const log = new PassThrough({ encoding: 'utf8' });
  const { url } = await startRegistry(
    { ...ON, logger: pino(log) },
    {
      resolveName: () => Promise.resolve([{ address: '169.254.169.254', family: 4 }]),
    },
  );
  const refusals: Record<string, string> = {
    itself: `${url}/messages/oven`,
    metadata: 'http://169.254.169.254/latest/meta-data',
    name: 'http://oven.example/',
    public: 'http://192.0.2.1/',
    secret: 'http://cook:secret@10.0.0.1/',
    socket: '/run/oven.sock',
  };
  for (const [id, health_check_url] of Object.entries(refusals))
    await register(url, id, { health_check_url });
  await eventually('all are refused', async () => {
    const { json } = await send(url, '/status');
    return (json as RegistryStatus).health_checks?.refused === 6;
  });
  const service = await startService();
  await register(url, 'well', { health_check_url: service.url });
  await eventually('all were looked at again', () => service.requests > 4);
  const lines = String(log.read())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; id: string; reason: string })
    .filter(({ msg }) => msg === 'a health check URL is not probed');
  expect(Object.fromEntries(lines.map(({ id, reason }) => [id, reason]))).toEqual({
    itself: 'it leads to this registry itself',
    metadata: '169.254.169.254 is link-local, a metadata service, or no single machine',
    name: '169.254.169.254 is link-local, a metadata service, or no single machine',
    public: '192.0.2.1 is a public address, and those are not allowed',
    secret: 'it has credentials',
    socket: 'it is no http or https URL',
  });
  expect(lines).toHaveLength(6);
  for (const id of Object.keys(refusals)) expect((await discover(url, id)).status).toBe('active');
});

it('a registry that is reached from other machines does not ask on its loopback, unless that is allowed', async () => {
  const service = await startService();
  const open: Partial<RegistryOptions> = { ...ON, host: '0.0.0.0', allowAnonymous: true };
  const refusing = await startRegistry(open);
  const asking = await startRegistry({ ...open, healthCheckAllow: ['127.0.0.1'] });
  const local = ({ url }: { url: string }): string => url.replace('0.0.0.0', '127.0.0.1');
  await register(local(refusing), 'oven', { health_check_url: service.url });
  await eventually('it is refused', async () => {
    const { json } = await send(local(refusing), '/status');
    return (json as RegistryStatus).health_checks?.refused === 1;
  });
  expect(service.requests).toBe(0);
  await register(local(asking), 'oven', { health_check_url: service.url });
  await eventually('it is asked', () => service.requests > 0);
});

it('a registry that stops leaves no probe behind', async () => {
  const sockets = new Set<object>();
  const hanging = createServer(() => undefined);
  hanging.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  services.push(hanging);
  hanging.listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const { url, registry } = await startRegistry(
    {
      ...ON,
      healthCheckIntervalMs: 60_000,
      healthCheckTimeoutMs: 60_000,
    },
    { random: () => 0 },
  );
  const health_check_url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/`;
  for (let index = 0; index < 10; index += 1) await register(url, `m-${index}`, { health_check_url });
  await eventually('all are asked', () => sockets.size === 10);
  const startMs = performance.now();
  await registry.stop();
  expect(performance.now() - startMs).toBeLessThan(10_000);
  await eventually('all are let go', () => sockets.size === 0);
});

it('nobody is asked unless that is switched on', async () => {
  const service = await startService();
  const { url } = await startRegistry({ healthCheckIntervalMs: 100 });
  await register(url, 'oven', { health_check_url: service.url });
  const asked = await startService();
  const asking = await startRegistry(ON);
  await register(asking.url, 'oven', { health_check_url: asked.url });
  await eventually('another one asks', () => asked.requests > 4);
  expect(service.requests).toBe(0);
});
