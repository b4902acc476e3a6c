import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { expectWords, NOBODY, useMembrane } from './support/membrane.js';
import { eventsOf, idsAt, membraneAt } from './support/registry-view.js';

const { begin, createUser, makeDirectory, startRegistry } = useMembrane();

/** A command that ends by 3 when it is told to. */
const WAITS = [
  process.execPath,
  '-e',
  'process.stdin.once("data", () => process.exit(3)); console.log("up")',
];

describe('the registration of `membrane run`', () => {
  it('is renewed while the command lives, and ends with it', async () => {
    const { start, registry } = await begin();
    const run = start(['run', 'house', '--id', 'oven', '--heartbeat-interval', '250ms', '--', ...WAITS]);
    const longerThanUnrenewedS = 1.5;
    await eventually('it is older than a lease that is not renewed', async () => {
      const oven = await membraneAt(registry.url, 'oven');
      return oven !== undefined && oven.last_heartbeat - oven.registered_at > longerThanUnrenewedS;
    });
    expect(await membraneAt(registry.url, 'oven')).toMatchObject({ parent: 'house', status: 'active' });
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered', 'deregistered']);
    expect(run.said).toEqual({ stdout: 'up\n', stderr: '' });
  });

  it('says by --relay that the program at its endpoint passes messages on', async () => {
    const { membrane, start, registry } = await begin();
    const at = ['--relay', '--endpoint', 'http://127.0.0.1:4000', '--id', 'hall'];
    const run = start(['run', ...at, '--', ...WAITS]);
    await eventually('it is registered', async () => (await idsAt(registry.url)).includes('hall'));
    expect(await membraneAt(registry.url, 'hall')).toMatchObject({ relay: true });
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    expect((await membrane(['register', ...at])).code).toBe(0);
    expect(await membraneAt(registry.url, 'hall')).toMatchObject({ relay: true });
    const { code, stderr } = await membrane(['register', '--relay', '--id', 'oven']);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'membrane: --relay goes with --endpoint, the address of a program that passes messages on; `membrane receive --relay` does it by itself\n',
    );
  });

  it('ends though the command ended before it was made', async () => {
    const { membrane, registry } = await begin();
    expect(await membrane(['run', '--id', 'oven', '--', 'true'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(await idsAt(registry.url)).toEqual([]);
  });

  it('is made by and by where the registry is away at first', async () => {
    const registry = await startRegistry();
    await registry.kill();
    const { start } = await createUser(registry.url);
    const run = start(['run', '--id', 'oven', '--heartbeat-interval', '250ms', '--', ...WAITS]);
    await eventually('the command is up', () => run.said.stdout === 'up\n');
    await eventually('it is said', () => run.said.stderr.includes('no registry answers'));
    await startRegistry({ port: registry.port });
    await eventually('it is registered', async () => (await idsAt(registry.url)).includes('oven'));
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    expect(await idsAt(registry.url)).toEqual([]);
    expectWords(run.said.stderr);
    expect(run.said.stderr).toContain('"oven" goes on trying\n');
  });

  it('is made again where the registry comes back with nothing', async () => {
    const registry = await startRegistry();
    const { start } = await createUser(registry.url);
    const run = start(['run', '--id', 'oven', '--heartbeat-interval', '250ms', '--', ...WAITS]);
    await eventually('it is registered', async () => (await idsAt(registry.url)).includes('oven'));
    await registry.kill();
    await startRegistry({ port: registry.port });
    await eventually('it is registered again', async () => (await idsAt(registry.url)).includes('oven'));
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    expect(run.said.stdout).toBe('up\n');
  });

  it('delays no command that is done before a registry answers', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout } = await membrane(['run', '--id', 'oven', '--', process.execPath, '-p', '1+1']);
    expect([code, stdout]).toEqual([0, '2\n']);
  });

  it('holds up the end for a moment only where the registry hangs', async () => {
    const { start, registry } = await begin();
    const run = start(['run', '--id', 'oven', '--', ...WAITS]);
    await eventually('it is registered', async () => (await idsAt(registry.url)).includes('oven'));
    registry.child.kill('SIGSTOP');
    const startMs = performance.now();
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    // A call would wait ten seconds.
    expect(performance.now() - startMs).toBeLessThan(8_000);
  });

  it('is lost to a newer one: that is said, and the command goes on', async () => {
    const { start, registry } = await begin();
    const other = await createUser(registry.url);
    const run = start(['run', '--id', 'oven', '--heartbeat-interval', '250ms', '--', ...WAITS]);
    await eventually('it is registered', async () => (await idsAt(registry.url)).includes('oven'));
    expect(await other.membrane(['register', '--id', 'oven', '--replace'])).toMatchObject({ code: 0 });
    await eventually('it is said', () => run.said.stderr.includes('held by a newer registration'));
    expect(run.child.exitCode).toBeNull();
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    // The other one still has it.
    expect(await other.membrane(['heartbeat', '--id', 'oven'])).toMatchObject({ code: 0 });
  });

  it('that the registry refuses does not stop the command, but is told of', async () => {
    const { start } = await begin();
    const run = start(['run', '--id', 'oven', 'oven', '--', ...WAITS]);
    await eventually('the command is up', () => run.said.stdout === 'up\n');
    const words = '"oven" cannot have the parent "oven"';
    await eventually('it is said', () => run.said.stderr.includes(words), 5_000);
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
    expectWords(run.said.stderr);
  });

  it.each([
    {
      flags: ['--mode', 'network'],
      environment: {},
      words: '--endpoint must be given with the mode "network"',
    },
    {
      flags: [],
      environment: { MEMBRANE_COMMUNICATION_MODE: 'ipc' },
      words:
        '--endpoint must be given with the mode "ipc" (MEMBRANE_COMMUNICATION_MODE), as "/run/oven.sock"',
    },
    { flags: ['--endpoint', ''], environment: {}, words: '--endpoint must not be empty; got ""' },
    {
      flags: ['--weight', '9999'],
      environment: {},
      words: '--weight must be a number from 0 to 1000; got "9999"',
    },
    {
      flags: ['--weight', '-1'],
      environment: {},
      words: '--weight must be a number from 0 to 1000; got "-1"',
    },
    {
      flags: ['--health-check-url', '/health'],
      environment: {},
      words: '--health-check-url must be an http or https URL; got "/health"',
    },
    { flags: ['--meta', `zone=${'a'.repeat(20_000)}`], environment: {}, words: '--meta must be at most' },
  ])('that no registry would take starts no command: $words', async ({ flags, environment, words }) => {
    const { membrane } = await createUser(NOBODY);
    const mark = join(await makeDirectory(), 'started');
    const args = ['run', '--id', 'oven', ...flags, '--', 'touch', mark];
    const { code, stdout, stderr } = await membrane(args, { environment });
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(words)]);
    expectWords(stderr);
    expect(existsSync(mark)).toBe(false);
  });

  it('goes on though nobody reads what it says', async () => {
    const registry = await startRegistry();
    const { start } = await createUser(registry.url);
    const run = start(['run', '--id', 'oven', '--heartbeat-interval', '250ms', '--', ...WAITS]);
    await eventually('it is registered', async () => (await idsAt(registry.url)).includes('oven'));
    run.child.stderr?.destroy();
    await registry.kill();
    await startRegistry({ port: registry.port });
    await eventually('it is registered again', async () => {
      if (run.child.exitCode !== null) throw new Error(`it ended by ${run.child.exitCode}`);
      return (await idsAt(registry.url)).includes('oven');
    });
    run.child.stdin?.write('end\n');
    expect(await run.ended).toBe(3);
  });
});

describe('with --require', () => {
  it('the command waits until it is registered', async () => {
    const registry = await startRegistry();
    await registry.kill();
    const { start } = await createUser(registry.url);
    const run = start(['run', '--id', 'oven', '--require', '--', process.execPath, '-p', '"up"']);
    await eventually('it says what it waits for', () => run.said.stderr.includes('goes on trying'));
    expect(run.said.stdout).toBe('');
    await startRegistry({ port: registry.port });
    expect([await run.ended, run.said.stdout]).toEqual([0, 'up\n']);
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered', 'deregistered']);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s ends the wait by %i, and the command never starts', async (signal, code) => {
    const { start } = await createUser(NOBODY);
    const mark = join(await makeDirectory(), 'started');
    const run = start(['run', '--id', 'oven', '--require', '--', 'touch', mark]);
    await eventually('it waits', () => run.said.stderr.includes('goes on trying'));
    run.child.kill(signal);
    expect(await run.ended).toBe(code);
    expect(existsSync(mark)).toBe(false);
    expectWords(run.said.stderr);
  });

  it.each([
    { flags: ['--weight', '5000'], code: 2, words: '--weight must be' },
    { flags: ['--mode', 'network'], code: 2, words: '--endpoint must be given with the mode "network"' },
    { flags: ['oven'], code: 5, words: '"oven" cannot have the parent "oven"' },
  ])('the command never starts where $flags is refused, which is said once', async (refused) => {
    const { flags, words } = refused;
    const { membrane } = await begin();
    const mark = join(await makeDirectory(), 'started');
    const { code, stderr } = await membrane([
      'run',
      '--id',
      'oven',
      '--require',
      ...flags,
      '--',
      'touch',
      mark,
    ]);
    expect([code, stderr]).toEqual([refused.code, expect.stringMatching(/^[^\n]+\n$/)]);
    expect(stderr).toContain(words);
    expect(existsSync(mark)).toBe(false);
    expectWords(stderr);
  });
});
