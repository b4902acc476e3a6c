import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { STATUS, useCannedRegistries } from './support/canned-registry.js';
import { expectWords, NOBODY, useMembrane } from './support/membrane.js';
import { registerAt } from './support/registry-view.js';

const { begin, createUser, startRegistry } = useMembrane();
const startCanned = useCannedRegistries();

interface StatusDocument {
  readonly settings: readonly { name: string; value: unknown; source: string }[];
  readonly [field: string]: unknown;
}

describe('status', () => {
  it('shows who is registered, each setting with its source, and the age of the lease', async () => {
    const { membrane, registry, environment } = await begin();
    await writeFile(join(environment['HOME'] ?? '', 'membrane.json'), '{ "namespaceId": "cellar" }');
    await membrane(['register', '--id', 'oven', '--heartbeat-interval', '30s']);
    const { code, stdout, stderr } = await membrane(['status', '--id', 'oven']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^id: +oven +\(flag\)$/m);
    expect(stdout).toMatch(new RegExp(`^registryUrl: +${registry.url} +\\(MEMBRANE_REGISTRY_URL\\)$`, 'm'));
    expect(stdout).toMatch(/^namespace: +cellar +\(.*namespaceId.*membrane\.json.*\)$/m);
    expect(stdout).toMatch(/^instanceId: +default +\(default\)$/m);
    expect(stdout).toMatch(/^parent: +- +\(default\)$/m);
    expect(stdout).toMatch(new RegExp(`^registry: +\\S+ at ${registry.url}, up \\d+ s$`, 'm'));
    expect(stdout).toMatch(
      /^lease: +active, renewed [\d.]+ s ago, lapses in 1[34]\d(\.\d+)? s unless renewed$/m,
    );
  });

  it('says how long self-preservation keeps a lease that is silent beyond its end', async () => {
    const instance = {
      ...{ id: 'oven', namespace: 'default', instance_id: 'default', parent: 'rack', status: 'unhealthy' },
      ...{ heartbeat_interval_ms: 60_000, last_heartbeat: Date.now() / 1_000 - 480 },
    };
    const kept = { namespace: 'default', subtree: 'rack', n: 30, s: 30, held: 30, since: 1_764_292_833 };
    const url = await startCanned({
      '/status': { ...STATUS, preservation: [kept] },
      '/discover/oven': { ...instance, instances: [instance] },
    });
    const { membrane } = await createUser(url);
    const { stdout } = await membrane(['status', '--id', 'oven']);
    expect(stdout).toMatch(/^registry: .*, up 5 s, preserving a subtree$/m);
    expect(stdout).toMatch(
      /^lease: +unhealthy, renewed 4[89]\d(\.\d+)? s ago, kept by self-preservation: lapses in 4[01]\d(\.\d+)? s at the latest unless renewed$/m,
    );
  });

  it('is one JSON document', async () => {
    const { membrane, registry } = await begin();
    await registerAt(registry.url, { id: 'oven', parent: 'house', metadata: { zone: 'a' } });
    const { code, stdout } = await membrane(['status', '--json'], { environment: { MEMBRANE_ID: 'oven' } });
    expect(code).toBe(0);
    const status = JSON.parse(stdout) as StatusDocument;
    expect(status).toMatchObject({
      id: 'oven',
      namespace: 'default',
      instance_id: 'default',
      registered: true,
      membrane: { id: 'oven', parent: 'house', communication_mode: 'ipc', metadata: { zone: 'a' } },
      registry: { url: registry.url, reachable: true, status: { membrane_count: 1 } },
    });
    expect(status['lease_age_ms']).toBeGreaterThanOrEqual(0);
    expect(status['lease_age_ms']).toBeLessThan(25_000);
    expect(status.settings).toContainEqual({ name: 'id', value: 'oven', source: 'MEMBRANE_ID' });
    expect(status.settings).toContainEqual({ name: 'namespace', value: 'default', source: 'default' });
  });

  it('exits by 4 where it is not registered, with all the same data', async () => {
    const { membrane } = await begin();
    const { code, stdout, stderr } = await membrane(['status', '--id', 'oven']);
    expect([code, stderr]).toEqual([4, 'membrane: "oven" is not registered\n']);
    expect(stdout).toMatch(/^id: +oven +\(flag\)$/m);
    expect(stdout).toMatch(/^lease: +not registered$/m);
    const json = await membrane(['status', '--id', 'oven', '--json']);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([
      4,
      expect.objectContaining({ id: 'oven', registered: false, lease_age_ms: null, membrane: null }),
    ]);
  });

  it.each([[['status', '--id', 'oven']], [['registry', 'status']]])(
    '%j shows no password, as words or as JSON',
    async (args) => {
      const { membrane, registry } = await begin();
      for (const url of [registry.url, NOBODY]) {
        const environment = { MEMBRANE_REGISTRY_URL: url.replace('//', '//me:hush@') };
        for (const flags of [[], ['--json']]) {
          const { stdout, stderr } = await membrane([...args, ...flags], { environment });
          expect(stdout + stderr).not.toContain('hush');
          if (url === NOBODY) expect(stderr).toContain('http://***@127.0.0.1:9');
        }
      }
    },
  );

  it('is of the replica that a flag or the environment names', async () => {
    const { membrane } = await begin();
    await membrane(['register', '--id', 'oven', '--instance', 'left']);
    expect(await membrane(['status', '--id', 'oven'])).toMatchObject({ code: 4 });
    expect(await membrane(['status', '--id', 'oven', '--instance', 'left'])).toMatchObject({ code: 0 });
    expect(
      await membrane(['status', '--id', 'oven'], { environment: { MEMBRANE_INSTANCE_ID: 'left' } }),
    ).toMatchObject({ code: 0 });
  });

  it('exits by 3 where no registry answers, with all that is known without one', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['status', '--id', 'oven']);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^id: +oven +\(flag\)$/m);
    expect(stdout).toMatch(/^registry: +not reached: no registry answers at .* \(ECONNREFUSED\)$/m);
    expect(stdout).toMatch(/^lease: +unknown$/m);
    expect(stderr).toContain('membrane registry start');
    expectWords(stderr);
    const json = await membrane(['status', '--id', 'oven', '--json']);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([
      3,
      expect.objectContaining({ id: 'oven', registry: { url: NOBODY, reachable: false, status: null } }),
    ]);
    expect(JSON.parse(json.stdout)).toMatchObject({ registered: null });
  });

  it('does not wait longer than --timeout for a registry that hangs', async () => {
    const registry = await startRegistry();
    const { membrane } = await createUser(registry.url);
    registry.child.kill('SIGSTOP');
    const startMs = performance.now();
    const { code, stderr } = await membrane(['status', '--id', 'oven', '--timeout', '200ms']);
    // Without it a call waits ten seconds.
    expect(performance.now() - startMs).toBeLessThan(8_000);
    expect([code, stderr]).toEqual([
      3,
      `membrane: no registry answers at ${registry.url} (no answer within 200 ms): it does not answer in time; give it longer by --timeout, or name another by --registry-url or MEMBRANE_REGISTRY_URL\n`,
    ]);
  });
});

describe('a setting that cannot be used', () => {
  it.each([
    [{ MEMBRANE_ID: 'the oven' }, 'MEMBRANE_ID must be 1 to 128 letters'],
    [{ MEMBRANE_NAMESPACE: '-' }, 'MEMBRANE_NAMESPACE must be 1 to 63 letters'],
    [{ MEMBRANE_REGISTRY_URL: 'nowhere' }, 'MEMBRANE_REGISTRY_URL must be a URL as "http://127.0.0.1:8765"'],
    [{ MEMBRANE_CONFIG: '/no/such.json' }, 'the config file /no/such.json cannot be read'],
  ])('is named with its value: %j', async (environment, words) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['status'], { environment });
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(words)]);
    expect(stderr).toContain(Object.values(environment)[0]);
    expectWords(stderr);
  });

  it('is named with its file where it stands in one', async () => {
    const { membrane, environment } = await createUser(NOBODY);
    const file = join(environment['HOME'] ?? '', 'membrane.json');
    await writeFile(file, '{ "membraneId": "the oven" }');
    const { code, stderr } = await membrane(['status']);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^membrane: membraneId in \S+membrane\.json must be 1 to 128 letters.*got "the oven"/,
    );
    expect(stderr).toContain(file);
  });
});
