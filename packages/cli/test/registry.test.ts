import { once } from 'node:events';
import { appendFile, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { STATUS, useCannedRegistries } from './support/canned-registry.js';
import { eventually } from './support/eventually.js';
import { expectWords, NOBODY, useMembrane, type User } from './support/membrane.js';
import { registerAt } from './support/registry-view.js';

const { createUser, makeDirectory, startRegistry } = useMembrane();
const startCanned = useCannedRegistries();

/** Of registries that outlive the command which started them. */
const detached: number[] = [];
afterEach(() => {
  for (const pid of detached.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The test stopped it.
    }
  }
});

async function startDetached({ membrane }: User, data: string): Promise<{ url: string; pid: number }> {
  const { code, stdout, stderr } = await membrane([
    ...['registry', 'start', '--detach', '--json', '--port', '0', '--data', data],
  ]);
  expect([code, stderr]).toEqual([0, '']);
  const ready = JSON.parse(stdout) as { url: string; pid: number };
  detached.push(ready.pid);
  return ready;
}

describe('registry start --detach', () => {
  it('leaves a registry behind, that logs beside its data, until registry stop', async () => {
    const user = await createUser(NOBODY);
    const data = await makeDirectory();
    const { url, pid } = await startDetached(user, data);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(await readFile(join(data, 'registry.log'), 'utf8')).toContain('"msg":"ready"');
    expect(await user.membrane(['registry', 'stop', '--data', data])).toEqual({
      code: 0,
      stdout: '',
      stderr: `registry stopped (pid ${pid})\n`,
    });
    await expect(fetch(`${url}/health/ready`)).rejects.toThrow();
    expect(await user.membrane(['registry', 'stop', '--data', data])).toEqual({
      code: 4,
      stdout: '',
      stderr: `membrane: no registry is running on ${data}\n`,
    });
  });

  it('is stopped as JSON', async () => {
    const user = await createUser(NOBODY);
    const data = await makeDirectory();
    const { pid } = await startDetached(user, data);
    const { code, stdout } = await user.membrane(['registry', 'stop', '--json', '--data', data]);
    expect([code, JSON.parse(stdout)]).toEqual([0, { stopped: true, pid }]);
  });
});

describe('registry start --detach that fails', () => {
  /** Has the registry in the background, and nothing else, run this first. */
  async function breakRegistry(code: string): Promise<Record<string, string>> {
    const file = join(await makeDirectory(), 'broken.cjs');
    await writeFile(file, `if (!process.argv.includes('--detach')) { ${code} }`);
    return { NODE_OPTIONS: `--require=${file}` };
  }

  it.each([
    { end: 'SIGKILL', code: "process.kill(process.pid, 'SIGKILL')" },
    { end: 'exit code 7', code: 'process.exit(7)' },
    { end: 'exit code 0', code: 'process.exit(0)' },
    { end: 'exit code 1', code: "process.stderr.write('an aside\\n'); process.exit(1)" },
  ])('without a word says that it ended by $end, and where its log is', async ({ end, code }) => {
    const { membrane } = await createUser(NOBODY);
    const data = await makeDirectory();
    await appendFile(join(data, 'registry.log'), 'membrane: the fault of another day\n');
    const environment = await breakRegistry(code);
    expect(
      await membrane(['registry', 'start', '--detach', '--port', '0', '--data', data], { environment }),
    ).toEqual({
      code: 1,
      stdout: '',
      stderr: `membrane: the registry ended by ${end} before it served; its log is ${data}/registry.log\n`,
    });
  });

  it('with a word passes that on, and its exit code', async () => {
    const { membrane } = await createUser(NOBODY);
    const data = await makeDirectory();
    const environment = await breakRegistry("console.error('membrane: wörds'); process.exit(2)");
    expect(
      await membrane(['registry', 'start', '--detach', '--port', '0', '--data', data], { environment }),
    ).toEqual({ code: 2, stdout: '', stderr: 'membrane: wörds\n' });
  });
});

describe('registry start --detach --data :memory:', () => {
  const START = ['registry', 'start', '--detach', '--json', '--data', ':memory:'];

  it('logs to a directory of its own, and says to which', async () => {
    const { membrane } = await createUser(NOBODY);
    const temporary = await makeDirectory();
    const environment = { TMPDIR: temporary };
    const { code, stdout, stderr } = await membrane([...START, '--port', '0'], { environment });
    expect(code).toBe(0);
    const { pid, ...ready } = JSON.parse(stdout) as { pid: number };
    detached.push(pid);
    expect(ready).toEqual({ url: expect.any(String) as string, data: ':memory:' });
    const [directory = ''] = await readdir(temporary);
    const log = join(temporary, directory, 'registry.log');
    expect(stderr).toBe(`its log is ${log}\n`);
    expect(await readFile(log, 'utf8')).toContain('"msg":"ready"');
  });

  it('leaves nothing behind where it cannot start', async () => {
    const { membrane } = await createUser(NOBODY);
    const temporary = await makeDirectory();
    const environment = { TMPDIR: temporary };
    expect(await membrane([...START, '--port', 'http'], { environment })).toMatchObject({ code: 2 });
    expect(await readdir(temporary)).toEqual([]);
  });
});

describe('registry stop', () => {
  it('finds a data directory by whatever path leads there', async () => {
    const user = await createUser(NOBODY);
    const data = await makeDirectory();
    const link = join(await makeDirectory(), 'link');
    await symlink(data, link);
    for (const [started, stopped] of [
      [data, link],
      [link, data],
    ] as const) {
      await startDetached(user, started);
      expect(await user.membrane(['registry', 'stop', '--data', stopped])).toMatchObject({ code: 0 });
    }
  });

  it('exits by 3 where the registry hangs, and says what to do', async () => {
    const user = await createUser(NOBODY);
    const data = await makeDirectory();
    const { url, pid } = await startDetached(user, data);
    process.kill(pid, 'SIGSTOP');
    expect(await user.membrane(['registry', 'stop', '--data', data, '--timeout', '200ms'])).toEqual({
      code: 3,
      stdout: '',
      stderr: `membrane: ${data} says that process ${pid} serves it, but the registry at ${url} does not answer in time; give it longer by --timeout or, if it hangs, end the process by its pid\n`,
    });
  });

  it('exits by 3 where nobody answers', async () => {
    const { membrane } = await createUser(NOBODY);
    const data = await makeDirectory();
    await writeFile(join(data, 'registry.pid'), JSON.stringify({ pid: process.pid, url: NOBODY }));
    const { code, stderr } = await membrane(['registry', 'stop', '--data', data]);
    expect([code, stderr]).toEqual([3, expect.stringContaining(`but no registry answers at ${NOBODY}`)]);
    expectWords(stderr);
  });

  it.each([
    { args: ['--data', ':memory:'], environment: {} },
    { args: [], environment: { MEMBRANE_REGISTRY_DATA: ':memory:' } },
  ])('knows of no registry in memory: $args $environment', async ({ args, environment }) => {
    const { membrane } = await createUser(NOBODY);
    expect(await membrane(['registry', 'stop', ...args], { environment })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'membrane: a registry with its data in :memory: cannot be found by it; end its process by the pid that `membrane registry start` gave\n',
    });
  });
});

describe('registry start', () => {
  it('starts on no data that another one holds, in the background neither', async () => {
    const user = await createUser(NOBODY);
    const data = await makeDirectory();
    await startDetached(user, data);
    for (const flags of [[], ['--detach']]) {
      const { code, stdout, stderr } = await user.membrane([
        ...['registry', 'start', '--port', '0', '--data', data],
        ...flags,
      ]);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        /^membrane: .*registry\.sqlite is in use by process \d+, the registry at http.*; stop it, or choose.*\n$/,
      );
    }
  });

  it('does not start on a port in use', async () => {
    const { membrane } = await createUser(NOBODY);
    const other = createServer().listen(0, '127.0.0.1');
    try {
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const { code, stderr } = await membrane([
        ...['registry', 'start', '--port', String(port), '--data', ':memory:'],
      ]);
      expect([code, stderr]).toEqual([1, expect.stringContaining(`port ${port} on 127.0.0.1 is in use`)]);
      expect(stderr).not.toMatch(/ {4}at |node:|Error:/);
    } finally {
      other.close();
    }
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'runs in the foreground until %s, with one line on standard output',
    async (signal) => {
      const { start } = await createUser(NOBODY);
      const registry = start(['registry', 'start', '--port', '0', '--data', ':memory:']);
      await eventually('it is ready', () => registry.said.stdout.endsWith('\n'));
      registry.child.kill(signal);
      expect(await registry.ended).toBe(0);
      expect(registry.said.stdout).toMatch(
        /^registry ready at http:\/\/127\.0\.0\.1:\d+, data in :memory:, pid \d+\n$/,
      );
    },
  );
});

describe('health checks', () => {
  it('are switched on by a flag, and tell why a membrane is unhealthy', async () => {
    const service = createHttpServer((_, response) => response.writeHead(503).end()).listen(0, '127.0.0.1');
    try {
      await once(service, 'listening');
      const health_check_url = `http://127.0.0.1:${(service.address() as AddressInfo).port}/`;
      const { start, membrane } = await createUser(NOBODY);
      const registry = start([
        ...['registry', 'start', '--port', '0', '--data', ':memory:', '--json', '--health-checks'],
        ...['--health-check-interval', '100ms', '--health-check-failure-threshold', '1'],
        ...['--health-check-timeout', '30s', '--health-check-allow', '127.0.0.0/8'],
      ]);
      await eventually('it is ready', () => registry.said.stdout.endsWith('\n'));
      const { url } = JSON.parse(registry.said.stdout) as { url: string };
      await registerAt(url, { id: 'oven', health_check_url });
      await registerAt(url, { id: 'sink', health_check_url: 'http://169.254.169.254/' });
      await eventually('both were looked at', async () => {
        const { health_checks } = (await (await fetch(`${url}/status`)).json()) as { health_checks: object };
        return JSON.stringify(health_checks) === '{"checked":1,"failing":1,"refused":1}';
      });
      const ofRegistry = ['--registry-url', url];
      expect((await membrane(['discover', 'oven', ...ofRegistry])).stdout).toMatch(
        /^status: +unhealthy\ncheck: +failing for \d+ s: it answered 503\n/m,
      );
      expect((await membrane(['registry', 'status', ...ofRegistry])).stdout).toMatch(
        /^checks: +1 probed, 1 failing; 1 refused$/m,
      );
    } finally {
      service.close();
    }
  });
});

describe('registry status', () => {
  it('tells what it is and holds', async () => {
    const { url } = await startRegistry();
    const { membrane } = await createUser(url);
    await registerAt(url, { id: 'house' });
    await registerAt(url, { id: 'oven', parent: 'house', namespace: 'cellar' });
    const { code, stdout, stderr } = await membrane(['registry', 'status']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^membranes: +2: 2 active, 0 unhealthy, 0 draining$/m);
    expect(stdout).toMatch(/^namespaces: +default, cellar$/m);
    expect(stdout).toContain(url);
    expect(JSON.parse((await membrane(['registry', 'status', '--json'])).stdout)).toMatchObject({
      membrane_count: 2,
      store: { kind: 'memory' },
    });
  });

  it('names what self-preservation keeps, the largest first', async () => {
    const preserved = (subtree: string, n: number) => ({
      ...{ namespace: 'default', subtree, n, s: n - 2, held: n - 3, since: 1_764_292_833 },
    });
    const racks = Array.from({ length: 11 }, (_, index) => preserved(`rack-${index}`, 40));
    const url = await startCanned({ '/status': { ...STATUS, preservation: [preserved('', 90), ...racks] } });
    const { membrane } = await createUser(url);
    const { code, stdout, stderr } = await membrane(['registry', 'status']);
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    const first = lines.findIndex((line) => line.startsWith('preserved:'));
    expect(lines.slice(first, first + 2)).toEqual([
      'preserved:  all of default: 88 of 90 silent, 87 kept beyond their end, since 2025-11-28T01:20:33.000Z',
      '            rack-0 in default: 38 of 40 silent, 37 kept beyond their end, since 2025-11-28T01:20:33.000Z',
    ]);
    expect(lines.slice(first + 9)).toEqual([
      expect.stringContaining('rack-8 in default: '),
      '            and 2 more: see --json',
      '            (who is silent there is not removed before 15 heartbeat intervals)',
      '',
    ]);
  });

  it('exits by 3 where none answers', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['registry', 'status']);
    expect([code, stdout]).toEqual([3, '']);
    expectWords(stderr);
  });
});
