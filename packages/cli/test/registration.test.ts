import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { expectWords, NOBODY, useMembrane, type User } from './support/membrane.js';
import { eventsOf, idsAt, membraneAt, registerAt } from './support/registry-view.js';

const { begin, createUser, startRegistry } = useMembrane();

const leasesOf = ({ stateDirectory }: User): string => join(stateDirectory, 'membrane', 'leases');

describe('register', () => {
  it('registers what the flags say, and says when that lapses', async () => {
    const { membrane, registry } = await begin();
    const flags = [
      ...['--id', 'oven', '--endpoint', 'http://10.0.0.7:8080', '--instance', 'left', '--weight', '3'],
      ...['--meta', 'zone=a', '--meta', 'rule=a=b', '--heartbeat-interval', '30s'],
      ...['--health-check-url', 'http://10.0.0.7:8080/health'],
    ];
    const { code, stdout, stderr } = await membrane(['register', 'house', ...flags]);
    expect([code, stdout]).toEqual([0, 'registered "oven" (left) below "house" in namespace "default"\n']);
    expect(stderr).toMatch(
      /^it lapses in 150 s unless .*`membrane heartbeat --id oven --instance left`.*--keep-alive.*membrane run/,
    );
    expect(await membraneAt(registry.url, 'oven')).toMatchObject({
      parent: 'house',
      instance_id: 'left',
      endpoint: 'http://10.0.0.7:8080',
      communication_mode: 'network',
      metadata: { zone: 'a', rule: 'a=b' },
      weight: 3,
      heartbeat_interval_ms: 30_000,
      health_check_url: 'http://10.0.0.7:8080/health',
    });
  });

  it('takes what follows the value of a flag for the parent', async () => {
    const { membrane, registry } = await begin();
    const args = ['register', '--id', 'oven', '--meta', 'zone=a', '--meta', 'heat=1', 'kitchen'];
    expect(await membrane(args)).toMatchObject({ code: 0 });
    expect(await membraneAt(registry.url, 'oven')).toMatchObject({
      parent: 'kitchen',
      metadata: { zone: 'a', heat: '1' },
    });
  });

  it('prints the lease as JSON, without its token', async () => {
    const { membrane } = await begin();
    const { code, stdout } = await membrane(['register', '--id', 'oven', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: 'oven', parent: null, expires_after_ms: 25_000 });
    expect(stdout).not.toContain('token');
  });

  it('keeps its token where this user alone can read it', async () => {
    const user = await begin();
    await user.membrane(['register', '--id', 'oven']);
    const [file = '', ...rest] = await readdir(leasesOf(user));
    expect(rest).toEqual([]);
    expect(JSON.parse(await readFile(join(leasesOf(user), file), 'utf8'))).toEqual({
      registry: user.registry.url,
      namespace: 'default',
      id: 'oven',
      instanceId: 'default',
      leaseToken: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    });
    expect((await stat(join(leasesOf(user), file))).mode & 0o777).toBe(0o600);
    expect((await stat(leasesOf(user))).mode & 0o777).toBe(0o700);
  });

  it('keeps its token below the home directory where no state directory is named', async () => {
    const { membrane, environment } = await begin();
    const options = { environment: { XDG_STATE_HOME: undefined } };
    expect(await membrane(['register', '--id', 'oven'], options)).toMatchObject({ code: 0 });
    expect(
      await readdir(join(environment['HOME'] ?? '', '.local', 'state', 'membrane', 'leases')),
    ).toHaveLength(1);
    expect(await membrane(['heartbeat', '--id', 'oven'], options)).toMatchObject({ code: 0 });
  });

  it('changes a registration of the same user', async () => {
    const { membrane, registry } = await begin();
    await membrane(['register', '--id', 'oven', '--meta', 'heat=1']);
    const before = await membraneAt(registry.url, 'oven');
    expect(await membrane(['register', 'house', '--id', 'oven', '--meta', 'heat=2'])).toMatchObject({
      code: 0,
    });
    expect(await membraneAt(registry.url, 'oven')).toMatchObject({
      parent: 'house',
      metadata: { heat: '2' },
      incarnation: before?.incarnation,
    });
  });

  it.each([
    { why: 'a parent that stands below it', args: ['oven'], code: 5, words: 'cannot have the parent "oven"' },
    {
      why: 'an endpoint that is missing',
      args: ['--mode', 'network'],
      code: 2,
      words: 'endpoint must be given',
    },
  ])('leaves a registration as it is that cannot be changed for $why', async ({ args, code, words }) => {
    const { membrane, registry } = await begin();
    await membrane(['register', '--id', 'oven']);
    const refused = await membrane(['register', '--id', 'oven', ...args]);
    expect([refused.code, refused.stderr]).toEqual([code, expect.stringContaining(words)]);
    expect(await membrane(['heartbeat', '--id', 'oven'])).toMatchObject({
      code: 0,
      stderr: '"oven" is renewed\n',
    });
    expect(await membrane(['deregister', 'oven'])).toMatchObject({ code: 0 });
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered', 'deregistered']);
  });

  it('has a token for each registry, whoever asks there', async () => {
    const { membrane, registry, stateDirectory } = await begin();
    const other = await startRegistry();
    const elsewhere = ['--id', 'oven', '--registry-url', other.url];
    await membrane(['register', '--id', 'oven']);
    expect(await membrane(['register', ...elsewhere])).toMatchObject({ code: 0 });
    expect(await readdir(join(stateDirectory, 'membrane', 'leases'))).toHaveLength(2);
    const withUser = registry.url.replace('//', '//me:hush@');
    expect(await membrane(['heartbeat', '--id', 'oven', '--registry-url', withUser])).toMatchObject({
      code: 0,
    });
    expect(await membrane(['heartbeat', ...elsewhere])).toMatchObject({ code: 0 });
  });

  it('keeps no token of what the registry refused, and the token of what it may have', async () => {
    const user = await begin();
    expect(await user.membrane(['register', 'oven', '--id', 'oven'])).toMatchObject({ code: 5 });
    expect(await readdir(leasesOf(user))).toEqual([]);
    await user.membrane(['register', '--id', 'oven']);
    const [file = ''] = await readdir(leasesOf(user));
    user.registry.child.kill('SIGSTOP');
    expect(await user.membrane(['register', '--id', 'oven', '--timeout', '200ms'])).toMatchObject({
      code: 3,
    });
    user.registry.child.kill('SIGCONT');
    expect(await readdir(leasesOf(user))).toEqual([file]);
    expect(await user.membrane(['heartbeat', '--id', 'oven'])).toMatchObject({ code: 0 });
  });

  it('repeats in its hints the flags that name the registration', async () => {
    const { membrane, registry } = await begin();
    const flags = ['--id', 'oven', '--namespace', 'cellar', '--instance', 'left'];
    const same = `${flags.join(' ')} --registry-url ${registry.url}\``;
    const args = [...flags, '--registry-url', registry.url];
    const lost = await membrane(['heartbeat', ...args]);
    expect([lost.code, lost.stderr]).toEqual([4, expect.stringContaining(`\`membrane register ${same}`)]);
    const { stderr } = await membrane(['register', ...args]);
    expect(stderr).toContain(`\`membrane heartbeat ${same}`);
  });

  it('takes a name that another one holds only by --replace', async () => {
    const { membrane, registry } = await begin();
    await registerAt(registry.url, { id: 'oven' });
    const refused = await membrane(['register', '--id', 'oven']);
    expect(refused).toEqual({
      code: 5,
      stdout: '',
      stderr: expect.stringMatching(
        /^membrane: "oven" is registered already, at \/run\/oven, heard of \d+ s ago; --replace takes .*\n$/,
      ) as string,
    });
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered']);
    expect(await membrane(['register', '--id', 'oven', '--replace'])).toMatchObject({ code: 0 });
    expect(await membrane(['heartbeat', '--id', 'oven'])).toMatchObject({ code: 0 });
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered', 'registered']);
  });

  it('lapses by itself; the name is free then', async () => {
    const { membrane, registry } = await begin();
    const args = ['register', '--id', 'oven', '--heartbeat-interval', '250ms'];
    expect((await membrane(args)).stderr).toContain('it lapses in 1.25 s');
    await eventually('it is gone', async () => (await idsAt(registry.url)).length === 0);
    expect(await membrane(['heartbeat', '--id', 'oven'])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('`membrane register --id oven` registers it') as string,
    });
    expect(await membrane(['register', '--id', 'oven'])).toMatchObject({ code: 0 });
  });

  it('names the file where the token cannot be kept, and registers nothing', async () => {
    const { membrane, registry } = await begin();
    const { code, stderr } = await membrane(['register', '--id', 'oven'], {
      environment: { XDG_STATE_HOME: '/dev/null' },
    });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^membrane: the lease file \/dev\/null\/membrane\/leases\/\S+ cannot be .*\n$/),
    ]);
    expect(await idsAt(registry.url)).toEqual([]);
  });

  it('says what to do about a token file that is damaged', async () => {
    const user = await begin();
    await user.membrane(['register', '--id', 'oven']);
    const [file = ''] = await readdir(leasesOf(user));
    for (const content of ['{', '{}', '7']) {
      await writeFile(join(leasesOf(user), file), content);
      const { code, stderr } = await user.membrane(['heartbeat', '--id', 'oven']);
      expect([code, stderr]).toEqual([1, expect.stringContaining(file)]);
      expect(stderr).toContain('remove it, and register again by --replace');
      expectWords(stderr);
    }
  });
});

describe('heartbeat', () => {
  it('renews what an earlier command registered', async () => {
    const { membrane, registry } = await begin();
    await membrane(['register', '--id', 'oven']);
    const before = await membraneAt(registry.url, 'oven');
    expect(await membrane(['heartbeat', '--id', 'oven'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '"oven" is renewed\n',
    });
    const after = await membraneAt(registry.url, 'oven');
    expect(after?.last_heartbeat).toBeGreaterThan(before?.last_heartbeat ?? Number.POSITIVE_INFINITY);
    expect(JSON.parse((await membrane(['heartbeat', '--id', 'oven', '--json'])).stdout)).toEqual({
      success: true,
      id: 'oven',
    });
  });

  it('is for one replica, in one namespace', async () => {
    const { membrane } = await begin();
    const left = ['--id', 'oven', '--instance', 'left', '--namespace', 'cellar'];
    await membrane(['register', ...left]);
    expect(await membrane(['heartbeat', ...left])).toMatchObject({ code: 0 });
    expect(await membrane(['heartbeat', '--id', 'oven', '--namespace', 'cellar'])).toMatchObject({ code: 4 });
    expect(await membrane(['heartbeat', '--id', 'oven', '--instance', 'left'])).toMatchObject({ code: 4 });
  });

  it('is refused to another user, and to one who lost the name', async () => {
    const { membrane, registry } = await begin();
    const other = await createUser(registry.url);
    await membrane(['register', '--id', 'oven']);
    const refused = { code: 5, stdout: '', stderr: 'membrane: "oven" is held by another process\n' };
    expect(await other.membrane(['heartbeat', '--id', 'oven'])).toEqual(refused);
    expect(await other.membrane(['register', '--id', 'oven', '--replace'])).toMatchObject({ code: 0 });
    expect(await membrane(['heartbeat', '--id', 'oven'])).toEqual(refused);
    expect(await other.membrane(['heartbeat', '--id', 'oven'])).toMatchObject({ code: 0 });
  });
});

describe('deregister', () => {
  it('ends what an earlier command registered, and forgets its token', async () => {
    const user = await begin();
    await user.membrane(['register', '--id', 'oven']);
    expect(await user.membrane(['deregister', 'oven'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '"oven" is registered no more\n',
    });
    expect(await eventsOf(user.registry.url, 'oven')).toEqual(['registered', 'deregistered']);
    expect(await readdir(leasesOf(user))).toEqual([]);
    await user.membrane(['register', '--id', 'oven']);
    const json = await user.membrane(['deregister', '--id', 'oven', '--json']);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([0, { success: true, id: 'oven' }]);
  });

  it('exits by 4 where there is none', async () => {
    const { membrane } = await begin();
    for (const flags of [[], ['--force'], ['--cascade']]) {
      expect(await membrane(['deregister', 'oven', ...flags])).toEqual({
        code: 4,
        stdout: '',
        stderr: 'membrane: "oven" is not registered\n',
      });
    }
  });

  it('ends what another one holds only by --force, and the holder is told so', async () => {
    const { membrane, registry } = await begin();
    const other = await createUser(registry.url);
    await membrane(['register', '--id', 'oven']);
    expect(await other.membrane(['deregister', 'oven'])).toEqual({
      code: 5,
      stdout: '',
      stderr: 'membrane: "oven" is held by another process; --force ends its registration\n',
    });
    expect(await idsAt(registry.url)).toEqual(['oven']);
    expect(await other.membrane(['deregister', 'oven', '--force'])).toMatchObject({ code: 0 });
    expect(await idsAt(registry.url)).toEqual([]);
    const told = await membrane(['heartbeat', '--id', 'oven']);
    expect([told.code, told.stderr]).toEqual([5, expect.stringContaining('was removed')]);
    expectWords(told.stderr);
    // It was not for ever.
    expect(await membrane(['register', '--id', 'oven'])).toMatchObject({ code: 0 });
  });

  it('leaves those below it, unless --cascade takes them along', async () => {
    const { membrane, registry } = await begin();
    for (const args of [
      ['--id', 'house'],
      ['house', '--id', 'kitchen'],
      ['kitchen', '--id', 'oven'],
    ]) {
      await membrane(['register', ...args]);
    }
    expect(await membrane(['deregister', 'house'])).toMatchObject({ code: 0 });
    expect(await idsAt(registry.url)).toEqual(['kitchen', 'oven']);
    expect(await membrane(['deregister', 'kitchen', '--cascade'])).toMatchObject({ code: 0 });
    expect(await idsAt(registry.url)).toEqual([]);
  });

  it('can be tried again where the registry was away', async () => {
    const { membrane, registry } = await begin();
    await membrane(['register', '--id', 'oven']);
    expect(await membrane(['deregister', 'oven', '--registry-url', NOBODY])).toMatchObject({ code: 3 });
    expect(await membrane(['deregister', 'oven'])).toMatchObject({ code: 0 });
    expect(await idsAt(registry.url)).toEqual([]);
  });
});

describe.each(['register', 'heartbeat', 'deregister'])('%s', (verb) => {
  it('wants to know of whom, by a flag, the environment or a config file', async () => {
    const { membrane, environment, registry } = await begin();
    const { code, stdout, stderr } = await membrane([verb]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^membrane: which membrane\? .*--id.*MEMBRANE_ID.*membraneId/);
    await membrane(['register', '--id', 'oven']);
    const named = await membrane([verb], { environment: { MEMBRANE_ID: 'oven' } });
    expect(named).toMatchObject({ code: 0 });
    await membrane(['register', '--id', 'oven']);
    await writeFile(join(environment['HOME'] ?? '', 'membrane.json'), '{ "membraneId": "oven" }');
    expect(await membrane([verb])).toMatchObject({ code: 0 });
    expect(await idsAt(registry.url)).toEqual(verb === 'deregister' ? [] : ['oven']);
  });

  it('exits by 3 where no registry answers, and says what to do', async () => {
    const { membrane, stateDirectory } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane([verb, '--id', 'oven']);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toContain(`no registry answers at ${NOBODY} (ECONNREFUSED)`);
    expect(stderr).toContain('membrane registry start');
    expectWords(stderr);
    // No token is left of what never was.
    expect(await readdir(stateDirectory, { recursive: true }).catch(() => [])).toEqual([]);
  });
});
