import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { BIN, expectWords, useMembrane, type Run, type User } from './support/membrane.js';
import { withoutSettings, type Process } from './support/processes.js';
import { eventsOf, idsAt } from './support/registry-view.js';
import { hasTerminals } from './support/terminal.js';

const { begin, makeDirectory, start } = useMembrane();

/** Programs that `membrane run` is to run. */
const NODE = [process.execPath, '-e'] as const;
const TELLS_SIGNALS = `
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) process.on(name, () => console.log(name));
  process.stdin.once('data', () => process.exit(3));
  console.log('up');`;
const KNOWS_NO_SIGNALS = `setInterval(() => {}, 1_000); console.log('up');`;

function runNode({ membrane }: User, code: string, ...args: string[]): Promise<Run> {
  return membrane(['run', '--id', 'oven', '--', ...NODE, code, ...args]);
}

async function startNode(user: User, code: string): Promise<Process> {
  const run = user.start(['run', '--id', 'oven', '--', ...NODE, code]);
  await eventually('the command is up', () => run.said.stdout.includes('up\n'));
  return run;
}

describe('the command', () => {
  it('learns from its environment who it is', async () => {
    const { membrane, registry, environment } = await begin();
    const flags = ['--id', 'oven', '--namespace', 'cellar', '--instance', 'left', '--mode', 'ipc'];
    const { code, stdout, stderr } = await membrane(
      [
        'run',
        'house',
        ...flags,
        '--endpoint',
        '/run/oven',
        '--',
        ...NODE,
        'console.log(JSON.stringify(process.env))',
      ],
      { environment: { OWN: 'kept' } },
    );
    expect([code, stderr]).toEqual([0, '']);
    const seen = JSON.parse(stdout) as Record<string, string>;
    expect(seen).toMatchObject({ OWN: 'kept', HOME: environment['HOME'] });
    expect(seen).toMatchObject({
      MEMBRANE_ID: 'oven',
      MEMBRANE_NAMESPACE: 'cellar',
      MEMBRANE_INSTANCE_ID: 'left',
      MEMBRANE_PARENT: 'house',
      MEMBRANE_COMMUNICATION_MODE: 'ipc',
      MEMBRANE_REGISTRY_URL: registry.url,
    });
  });

  it('is its membrane, and finds itself by the SDK without registering again', async () => {
    const { membrane, registry } = await begin();
    const app = `import { createNamespaceClient } from '@membrane/client';
      const client = createNamespaceClient();
      let found;
      while ((found = await client.discover(client.id, { useCache: false })) === undefined);
      console.log(client.autoRegister(), found.id, found.parent);
      await client.close();`;
    // From where the SDK is found.
    const options = { cwd: join(BIN, '..') };
    const command = [process.execPath, '--input-type=module', '-e', app];
    const { code, stdout, stderr } = await membrane(
      ['run', 'house', '--id', 'oven', '--', ...command],
      options,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'false oven house\n', stderr: '' });
    expect(await eventsOf(registry.url, 'oven')).toEqual(['registered', 'deregistered']);
  });

  it('gets its arguments as they are, those that look like ours too', async () => {
    const args = [
      '--help',
      '--id',
      'x',
      '--json',
      '--',
      '-x',
      '',
      'a b',
      '007',
      '1.50',
      '0x10',
      '--no-y',
      '--z=1',
      '*',
    ];
    const print = 'console.log(JSON.stringify(process.argv.slice(1)))';
    // Node takes what stands before its own `--`.
    const { code, stdout } = await runNode(await begin(), print, '--', ...args);
    expect([code, JSON.parse(stdout)]).toEqual([0, args]);
  });

  it('has our standard streams, byte by byte', async () => {
    const user = await begin();
    const copies = 'process.stdin.pipe(process.stdout); process.stdin.pipe(process.stderr)';
    const run = user.start(['run', '--id', 'oven', '--', ...NODE, copies]);
    // More than pipes hold, and no text.
    const input = Buffer.from(
      Uint8Array.from({ length: 1_000_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff),
    );
    run.child.stdin?.end(input);
    expect(await run.ended).toBe(0);
    expect(run.bytes.stdout.equals(input)).toBe(true);
    expect(run.bytes.stderr.equals(input)).toBe(true);
  });

  it('may write to a reader that goes', async () => {
    const user = await begin();
    const floods =
      'process.stdout.on("error", () => process.exit(9)); setInterval(() => console.log("x".repeat(1e5)))';
    const run = user.start(['run', '--id', 'oven', '--', ...NODE, floods]);
    await eventually('it writes', () => run.bytes.stdout.length > 0);
    run.child.stdout?.destroy();
    expect([await run.ended, run.said.stderr]).toEqual([9, '']);
  });
});

describe('the exit code', () => {
  it.each([0, 1, 7, 255])('of the command, %i, is passed on', async (code) => {
    const user = await begin();
    expect(await runNode(user, `process.exit(${code})`)).toEqual({ code, stdout: '', stderr: '' });
    expect(await idsAt(user.registry.url)).toEqual([]);
  });

  it.each([
    ['SIGKILL', 137],
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ])('is that of a shell where %s killed the command: %i', async (signal, code) => {
    const user = await begin();
    expect(
      await runNode(user, `process.kill(process.pid, '${signal}'); setInterval(() => {}, 1_000)`),
    ).toEqual({
      code,
      stdout: '',
      stderr: '',
    });
    expect(await idsAt(user.registry.url)).toEqual([]);
  });

  it.each(['no-such-command', '/no/such/command'])('is 127 where there is no command %s', async (command) => {
    const { membrane, registry } = await begin();
    expect(await membrane(['run', '--id', 'oven', '--', command, '--help'])).toEqual({
      code: 127,
      stdout: '',
      stderr: `membrane: there is no command "${command}"\n`,
    });
    expect(await idsAt(registry.url)).toEqual([]);
  });

  it('is 126 where the command cannot be run', async () => {
    const { membrane, registry } = await begin();
    const directory = await makeDirectory();
    const file = join(directory, 'notes.txt');
    await writeFile(file, 'no program');
    await chmod(file, 0o644);
    for (const command of [directory, file]) {
      expect(await membrane(['run', '--id', 'oven', '--', command])).toEqual({
        code: 126,
        stdout: '',
        stderr: `membrane: "${command}" cannot be run (EACCES)\n`,
      });
    }
    expect(await idsAt(registry.url)).toEqual([]);
  });

  it('is that of wrong usage, or of a missing command, where the command is empty', async () => {
    const { membrane } = await begin();
    const { code, stderr } = await membrane(['run', '--id', 'oven', '--', '']);
    expectWords(stderr);
    // Not an argument of ours, but one of a function of Node.
    expect(stderr).not.toContain("'file'");
    expect([2, 127]).toContain(code);
  });
});

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)(
    '%s is passed on, and the command decides what it means',
    async (signal) => {
      const user = await begin();
      const run = await startNode(user, TELLS_SIGNALS);
      run.child.kill(signal);
      await eventually('it is told', () => run.said.stdout.includes(signal));
      expect(run.child.exitCode).toBeNull();
      run.child.stdin?.write('end\n');
      expect(await run.ended).toBe(3);
      expect(run.said).toEqual({ stdout: `up\n${signal}\n`, stderr: '' });
      expect(await idsAt(user.registry.url)).toEqual([]);
    },
  );

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s ends a command that knows nothing of it, and then us by %i', async (signal, code) => {
    const user = await begin();
    const run = await startNode(user, KNOWS_NO_SIGNALS);
    await eventually('it is registered', async () => (await idsAt(user.registry.url)).includes('oven'));
    run.child.kill(signal);
    expect([await run.ended, run.said.stderr]).toEqual([code, '']);
    expect(await eventsOf(user.registry.url, 'oven')).toEqual(['registered', 'deregistered']);
    expect(run.isAlive()).toBe(false);
  });

  it('of the keyboard reaches the command once: the terminal sends it there too', async () => {
    if (!hasTerminals('what Ctrl-C does to `membrane run`')) return;
    const user = await begin();
    const directory = await makeDirectory();
    const app = join(directory, 'app.cjs');
    // The second one would come right behind the first.
    await writeFile(
      app,
      `let count = 0;
      process.on('SIGINT', () => { count += 1; setTimeout(() => { console.log('told ' + count); process.exit(4); }, 500); });
      setInterval(() => {}, 1_000);
      console.log('up');`,
    );
    const run = start(
      'script',
      // Without exec a shell may stand in between, and tell of the key by its own exit code.
      ['-qec', `exec ${process.execPath} ${BIN} run --id oven -- ${process.execPath} ${app}`, '/dev/null'],
      { environment: { ...withoutSettings(process.env), ...user.environment } },
    );
    await eventually('the command is up', () => run.said.stdout.includes('up'));
    run.child.stdin?.write('\u0003');
    await eventually('it ends', () => run.said.stdout.includes('told'));
    expect(run.said.stdout).toContain('told 1');
    expect(await run.ended).toBe(4);
    expect(await idsAt(user.registry.url)).toEqual([]);
  });
});
