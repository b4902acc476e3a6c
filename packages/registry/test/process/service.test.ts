import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { MembraneEvent, MembraneRecord, RegistryStatus } from '@membrane/protocol';
import { createRegistry } from '../../src/registry.js';
import { send } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { runRegistryProcess, useRegistryProcesses } from '../support/registry-process.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();
const startRegistry = useRegistryProcesses();

describe('the service', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends by 0 on %s, whatever connections there are, and has answered',
    async (signal) => {
      const data = await makeDirectory();
      const registry = await startRegistry(['--port', '0', '--data', data]);
      const port = Number(new URL(registry.url).port);
      const idle = connect(port, '127.0.0.1').on('error', () => undefined);
      const halfSent = connect(port, '127.0.0.1').on('error', () => undefined);
      halfSent.write(
        'POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
      );
      await Promise.all([once(idle, 'connect'), once(halfSent, 'connect')]);
      const underWay = Array.from({ length: 200 }, (_, index) =>
        send(registry.url, '/register', {
          body: registration(`m-${index}`, { heartbeat_interval_ms: 60_000 }),
        }),
      );
      await Promise.race(underWay);
      const startMs = performance.now();
      expect(await registry.end(signal)).toBe(0);
      expect(performance.now() - startMs).toBeLessThan(5_000);
      idle.destroy();
      halfSent.destroy();

      // Who was answered by 200 is there; who was not was told so, or was not let in any more.
      const settled = await Promise.allSettled(underWay);
      const answered = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const acknowledged = answered.filter(({ status }) => status === 200);
      expect(acknowledged.length).toBeGreaterThan(0);
      expect(answered.every(({ status }) => status === 200 || status === 503)).toBe(true);
      const { url } = await startRegistry(['--port', '0', '--data', data]);
      const ids = new Set(((await send(url, '/list')).json as MembraneRecord[]).map(({ id }) => id));
      expect(acknowledged.every(({ json }) => ids.has((json as { id: string }).id))).toBe(true);
    },
  );

  it('finds everything again after a restart', async () => {
    const data = await makeDirectory();
    const first = await startRegistry(['--port', '0', '--data', data]);
    const token = 'a-token-of-32-characters-or-more';
    const rest = { lease_token: token, heartbeat_interval_ms: 60_000 };
    await send(first.url, '/register', { body: registration('house', rest) });
    await send(first.url, '/register', {
      body: registration('oven', { ...rest, parent: 'house', metadata: { heat: 220 } }),
    });
    const listed = (await send(first.url, '/list')).json as MembraneRecord[];
    const events = (await send(first.url, '/events')).json as MembraneEvent[];
    const status = (await send(first.url, '/status')).json as RegistryStatus;
    expect(await first.end('SIGTERM')).toBe(0);

    const second = await startRegistry(['--port', '0', '--data', data]);
    const unheard = ({ last_heartbeat, ...record }: MembraneRecord): object => record;
    expect(((await send(second.url, '/list')).json as MembraneRecord[]).map(unheard)).toEqual(
      listed.map(unheard),
    );
    expect((await send(second.url, '/events')).json).toEqual(events);
    expect((await send(second.url, '/status')).json).toMatchObject({
      registry_id: status.registry_id,
      revision: status.revision,
      recovering: true,
    });
    expect((await send(second.url, '/heartbeat', { body: { id: 'oven' } })).status).toBe(409);
    expect((await send(second.url, '/heartbeat', { body: { id: 'oven', lease_token: token } })).status).toBe(
      200,
    );
  });

  it('takes flags before the environment, and an empty variable for none', async () => {
    const { url, log } = await startRegistry(['--port', '0', '--registry-id', 'by-flag'], {
      MEMBRANE_REGISTRY_ID: 'by-variable',
      MEMBRANE_REGISTRY_PORT: '1',
      MEMBRANE_REGISTRY_DATA: ':memory:',
      MEMBRANE_REGISTRY_LOG_LEVEL: '',
    });
    expect(log.find(({ msg }) => msg === 'ready')).toMatchObject({
      registry_id: 'by-flag',
      store: 'memory',
      url,
    });
  });

  it.each([
    [['--port', '65536'], {}, '--port must be a whole number from 0 to 65535; got "65536"'],
    [['--port', ''], {}, '--port must be a whole number from 0 to 65535; got ""'],
    [
      [],
      { MEMBRANE_REGISTRY_PORT: 'http' },
      'MEMBRANE_REGISTRY_PORT must be a whole number from 0 to 65535; got "http"',
    ],
    [
      ['--heartbeat-interval', '10ms'],
      {},
      '--heartbeat-interval must be a duration from 250ms to 1d, as "30s"; got "10ms"',
    ],
    [
      ['--cleanup-interval', 'soon'],
      {},
      '--cleanup-interval must be a duration from 10ms to 60s, as "100ms"; got "soon"',
    ],
    [
      ['--mailbox-max-messages', '0'],
      {},
      '--mailbox-max-messages must be a whole number from 1 to 1000000; got "0"',
    ],
    [
      [],
      { MEMBRANE_REGISTRY_MAILBOX_MAX_BYTES: '16 loaves' },
      'MEMBRANE_REGISTRY_MAILBOX_MAX_BYTES must be a size from 1024 bytes to 1024GiB, as "16MiB"; got "16 loaves"',
    ],
    [
      ['--log-level', 'loud'],
      {},
      '--log-level must be one of trace, debug, info, warn, error, fatal, silent; got "loud"',
    ],
    [
      ['--registry-id', 'a b'],
      {},
      '--registry-id must be 1 to 63 letters, digits, ".", "_", ":" or "-"; got "a b"',
    ],
    [
      [],
      { MEMBRANE_REGISTRY_ALLOW_ANONYMOUS: 'yes' },
      'MEMBRANE_REGISTRY_ALLOW_ANONYMOUS must be "true" or "false"; got "yes"',
    ],
    [['--self-preservation=on'], {}, '--self-preservation must be "true" or "false"; got "on"'],
    [
      [],
      { MEMBRANE_REGISTRY_SELF_PRESERVATION: 'no' },
      'MEMBRANE_REGISTRY_SELF_PRESERVATION must be "true" or "false"; got "no"',
    ],
    [['--frobnicate'], {}, 'Unknown argument: frobnicate; see membrane-registry --help'],
    [
      ['--host', '0.0.0.0'],
      {},
      'the host 0.0.0.0 can be reached from other machines, and anybody who reaches the registry may change it: add --allow-anonymous (MEMBRANE_REGISTRY_ALLOW_ANONYMOUS=true) if that is meant, or use 127.0.0.1',
    ],
  ] as const)('refuses %j with %j in one line', async (args, environment, message) => {
    expect(await runRegistryProcess(args, environment)).toEqual({
      code: 2,
      stdout: '',
      stderr: `membrane-registry: ${message}\n`,
    });
  });

  it('says in one line that its port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await runRegistryProcess(['--port', String(port), '--data', ':memory:']);
    other.close();
    expect([code, stderr]).toEqual([
      1,
      `membrane-registry: port ${port} on 127.0.0.1 is in use; choose another with --port or MEMBRANE_REGISTRY_PORT\n`,
    ]);
  });

  it('listens on every interface where that is allowed', async () => {
    const { url } = await startRegistry([
      '--host',
      '0.0.0.0',
      '--allow-anonymous',
      '--port',
      '0',
      '--data',
      ':memory:',
    ]);
    expect((await send(url.replace('0.0.0.0', '127.0.0.2'), '/health/live')).status).toBe(200);
  });
});

describe('an embedded registry', () => {
  it('starts once, stops once, and can be stopped while it starts', async () => {
    const registry = createRegistry({ port: 0, data: await makeDirectory() });
    await Promise.all([registry.start(), registry.start()]);
    const url = registry.url ?? '';
    expect((await send(url, '/health/ready')).status).toBe(200);
    await Promise.all([registry.stop(), registry.stop()]);
    await expect(send(url, '/health/live')).rejects.toThrow('ECONNREFUSED');

    const data = await makeDirectory();
    const hasty = createRegistry({ port: 0, data });
    const started = hasty.start().catch(() => undefined);
    await hasty.stop();
    await started;
    // It let go of its data, and nothing of it goes on.
    const next = createRegistry({ port: 0, data });
    await next.start();
    expect((await send(next.url ?? '', '/health/ready')).status).toBe(200);
    await next.stop();
  });

  it('refuses options that cannot be used', () => {
    expect(() => createRegistry({ port: 1.5 })).toThrow(
      'port must be a whole number from 0 to 65535; got 1.5',
    );
    expect(() => createRegistry({ heartbeatIntervalMs: 1 })).toThrow(
      'heartbeatIntervalMs must be a duration',
    );
    expect(() => createRegistry({ maxTotalMailboxBytes: 1 })).toThrow('maxTotalMailboxBytes must be a size');
    expect(() => createRegistry({ host: '192.0.2.1' })).toThrow('--allow-anonymous');
  });
});
