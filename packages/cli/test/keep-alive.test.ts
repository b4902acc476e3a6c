import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { eventually } from './support/eventually.js';
import { expectWords, NOBODY, useMembrane, type User } from './support/membrane.js';
import type { Process } from './support/processes.js';
import { eventsOf, idsAt, membraneAt, registerAt } from './support/registry-view.js';

const { begin, createUser, startRegistry } = useMembrane();

async function stay({ start }: User, ...flags: string[]): Promise<Process> {
  const args = ['register', 'house', '--id', 'oven', '--keep-alive', '--heartbeat-interval', '250ms'];
  const oven = start([...args, ...flags]);
  await eventually('it is registered', () => {
    if (oven.child.exitCode !== null) throw new Error(oven.said.stderr);
    return oven.said.stderr.includes('it is renewed until Ctrl-C\n');
  });
  return oven;
}

describe('register --keep-alive', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('renews until %s, and then leaves', async (signal) => {
    const user = await begin();
    const { url } = user.registry;
    const oven = await stay(user);
    expect(oven.said.stdout).toBe('registered "oven" below "house" in namespace "default"\n');
    const longerThanUnrenewedS = 1.5;
    await eventually('it is older than a lease that is not renewed', async () => {
      const seen = await membraneAt(url, 'oven');
      return seen !== undefined && seen.last_heartbeat - seen.registered_at > longerThanUnrenewedS;
    });
    oven.child.kill(signal);
    expect(await oven.ended).toBe(0);
    expect(oven.said.stderr).toBe('it is renewed until Ctrl-C\n"oven" has left\n');
    expect(await eventsOf(url, 'oven')).toEqual(['registered', 'deregistered']);
    expect(oven.isAlive()).toBe(false);
  });

  it('says so where no registry heard that it leaves', async () => {
    const user = await begin();
    const oven = await stay(user);
    await user.registry.kill();
    await eventually('it is noticed', () => oven.said.stderr.includes('goes on trying'));
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
    expect(oven.said.stderr).toContain('no registry heard that "oven" leaves; it lapses by itself\n');
    expect(oven.said.stderr).not.toContain('has left');
  });

  it('prints the lease as JSON, and nothing else as data', async () => {
    const oven = await stay(await begin(), '--json');
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
    expect(JSON.parse(oven.said.stdout)).toMatchObject({
      id: 'oven',
      parent: 'house',
      expires_after_ms: 1_250,
    });
  });

  it('ends by 5 when another one takes the name, which keeps it', async () => {
    const user = await begin();
    const oven = await stay(user);
    const other = await createUser(user.registry.url);
    expect(await other.membrane(['register', '--id', 'oven', '--replace'])).toMatchObject({ code: 0 });
    expect(await oven.ended).toBe(5);
    expect(oven.said.stderr).toBe(
      'it is renewed until Ctrl-C\nmembrane: "oven" is held by a newer registration\n',
    );
    expect(await other.membrane(['heartbeat', '--id', 'oven'])).toMatchObject({ code: 0 });
    expect(await eventsOf(user.registry.url, 'oven')).toEqual(['registered', 'registered']);
  });

  it('ends by 5 when its registration is removed', async () => {
    const user = await begin();
    const oven = await stay(user);
    // Of the same user: the token of a process that stays is its own.
    expect(await user.membrane(['deregister', 'oven'])).toMatchObject({ code: 5 });
    expect(await user.membrane(['deregister', 'oven', '--force'])).toMatchObject({ code: 0 });
    expect(await oven.ended).toBe(5);
    expect(oven.said.stderr).toMatch(
      /^it is renewed until Ctrl-C\nmembrane: [^\n]*"oven" was removed[^\n]*\n$/,
    );
    expect(await idsAt(user.registry.url)).toEqual([]);
  });

  it('takes a name that another one holds only by --replace', async () => {
    const user = await begin();
    await registerAt(user.registry.url, { id: 'oven' });
    const refused = await user.membrane(['register', '--id', 'oven', '--keep-alive']);
    expect([refused.code, refused.stdout]).toEqual([5, '']);
    expect(refused.stderr).toMatch(/^membrane: "oven" is registered already, at \/run\/oven,.*--replace/);
    expect(await eventsOf(user.registry.url, 'oven')).toEqual(['registered']);
    const oven = await stay(user, '--replace');
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
    expect(await eventsOf(user.registry.url, 'oven')).toEqual(['registered', 'registered', 'deregistered']);
  });

  it('ends by 3 where no registry answers at first', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['register', '--id', 'oven', '--keep-alive']);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toContain('membrane registry start');
    expectWords(stderr);
  });

  it.each([[['--weight', '5000']], [['--mode', 'network']]])(
    'ends by 2 where %j is refused',
    async (flags) => {
      const { membrane, registry } = await begin();
      const { code, stderr } = await membrane(['register', '--id', 'oven', '--keep-alive', ...flags]);
      expect(code).toBe(2);
      expectWords(stderr);
      expect(await idsAt(registry.url)).toEqual([]);
    },
  );

  it('goes on when the registry goes, and registers again when it comes back with nothing', async () => {
    const registry = await startRegistry();
    const oven = await stay(await createUser(registry.url));
    await registry.kill();
    await eventually('it is said', () => oven.said.stderr.includes('"oven" goes on trying\n'));
    await startRegistry({ port: registry.port });
    await eventually('it is said', () => oven.said.stderr.includes(`answers again, at ${registry.url}\n`));
    await eventually('it is back', async () => (await idsAt(registry.url)).includes('oven'));
    expect(await membraneAt(registry.url, 'oven')).toMatchObject({ parent: 'house' });
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
  });

  it('ends though the registry is away', async () => {
    const registry = await startRegistry();
    const oven = await stay(await createUser(registry.url));
    await registry.kill();
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
    expect(oven.said.stderr).not.toMatch(/ {4}at |node:/);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends by %i the wait for a registry that hangs', async (signal, code) => {
    const { start } = await begin();
    const silent = createServer().listen(0, '127.0.0.1').unref();
    await once(silent, 'listening');
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const asked = once(silent, 'connection') as Promise<[Socket]>;
    const oven = start([
      'register',
      '--id',
      'oven',
      '--keep-alive',
      '--timeout',
      '1h',
      '--registry-url',
      url,
    ]);
    const [connection] = await asked;
    oven.child.kill(signal);
    expect(await oven.ended).toBe(code);
    connection.destroy();
    silent.close();
    expect(oven.said.stderr).toBe(`membrane: "oven" was not registered: ${signal} came before an answer\n`);
  });

  it('stays though nobody reads what it prints at first', async () => {
    const { start, registry } = await begin();
    const oven = start(['register', '--id', 'oven', '--keep-alive']);
    oven.child.stdout?.destroy();
    await eventually('it stays', () => oven.said.stderr.includes('it is renewed until Ctrl-C\n'));
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered', 'deregistered']);
  });

  it.each(['stdout', 'stderr'] as const)('goes on though nobody reads its %s', async (stream) => {
    const registry = await startRegistry();
    const oven = await stay(await createUser(registry.url));
    oven.child[stream]?.destroy();
    // It has to say so.
    await registry.kill();
    await startRegistry({ port: registry.port });
    await eventually('it is back', async () => {
      if (oven.child.exitCode !== null) throw new Error(`it ended by ${oven.child.exitCode}`);
      return (await idsAt(registry.url)).includes('oven');
    });
    oven.child.kill('SIGTERM');
    expect(await oven.ended).toBe(0);
    expect(await idsAt(registry.url)).toEqual([]);
  });
});
