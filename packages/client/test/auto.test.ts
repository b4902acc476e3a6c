import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { useProcesses, type ProcessOptions } from './support/processes.js';
import { journalOf } from './support/registry-view.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const { start, startRegistry } = useProcesses();
const makeDirectory = useTemporaryDirectories();

const AUTO = new URL('../dist/auto.js', import.meta.url).href;
const [MEMBER, FAMILY, ASKS_OFTEN, FORKS_AT_ONCE] = ['member', 'family', 'asks-often', 'forks-at-once'].map(
  (name) => new URL(`fixtures/${name}.mjs`, import.meta.url).pathname,
) as [string, string, string, string];

/** Programs that know nothing of membranes. */
const ENDS_WITH_ITS_INPUT = 'console.log("up"); process.stdin.resume()';
const HANDLES_SIGNALS =
  'process.on("SIGTERM", () => console.log("asked to end")); process.stdin.once("data", () => process.exit(7)); console.log("up")';
function startApp(code: string, options: ProcessOptions) {
  return start(process.execPath, ['--import', AUTO, '--input-type=module', '-e', code], options);
}

async function startRegistered(code: string, url: string) {
  const app = startApp(code, { environment: await at(url) });
  // It registers while it starts: what it handles, it handles when it is up.
  await eventually('it is up', () => app.said.stdout.includes('up'));
  await eventually('it is registered', async () => (await namesOf(url)).includes('registered'));
  return app;
}

/** The environment of an app named `oven`, whose inbox goes when the test is over. */
async function at(url: string, more: Record<string, string> = {}): Promise<Record<string, string>> {
  return {
    MEMBRANE_REGISTRY_URL: url,
    MEMBRANE_ID: 'oven',
    MEMBRANE_SHARED_ROOT: await makeDirectory(),
    ...more,
  };
}

async function namesOf(url: string): Promise<string[]> {
  return (await journalOf(url, 'oven')).map(({ event }) => event);
}

describe('a process that registers without a line of code', () => {
  it('leaves when it ends by itself', async () => {
    const { url } = await startRegistry();
    const app = await startRegistered(ENDS_WITH_ITS_INPUT, url);
    app.child.stdin?.end();
    expect(await app.ended).toBe(0);
    expect(await namesOf(url)).toEqual(['registered', 'deregistered']);
    expect(app.said).toEqual({ stdout: 'up\n', stderr: '' });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('leaves at %s, and dies of it', async (signal) => {
    const { url } = await startRegistry();
    const app = await startRegistered(ENDS_WITH_ITS_INPUT, url);
    app.child.kill(signal);
    expect(await app.ended).toBe(signal);
    expect(await namesOf(url)).toEqual(['registered', 'deregistered']);
    expect(app.said.stderr).toBe('');
  });

  it('decides itself what a signal means where it has a handler, and is left to lapse by process.exit()', async () => {
    const { url } = await startRegistry();
    const app = await startRegistered(HANDLES_SIGNALS, url);
    app.child.kill('SIGTERM');
    await eventually('it handles the signal', () => app.said.stdout.includes('asked to end'));
    app.child.stdin?.write('exit\n');
    expect(await app.ended).toBe(7);
    expect(await namesOf(url)).toEqual(['registered']);
  });

  it('is not held up by a registry that is away, says so once, and registers when it comes', async () => {
    const registry = await startRegistry();
    await registry.kill();
    const environment = await at(registry.url);
    const brief = startApp('console.log("up")', { environment });
    expect(await brief.ended).toBe(0);
    expect(brief.said.stdout).toBe('up\n');

    const app = startApp(ENDS_WITH_ITS_INPUT, { environment });
    await eventually('it warns', () => app.said.stderr.includes('goes on trying'));
    await startRegistry({ port: registry.port });
    await eventually('it is registered', async () => (await namesOf(registry.url)).includes('registered'));
    app.child.stdin?.end();
    expect(await app.ended).toBe(0);
    expect(app.said.stderr).toMatch(
      /^\(node:\d+\) MembraneWarning: no registry answers at \S+ \(ECONNREFUSED\); "oven" goes on trying\n[^\n]*--trace-warnings[^\n]*\n$/,
    );
  });

  it.each(['SIGTERM', undefined] as const)(
    'is held up for half a second at most by a registry that hangs (%s)',
    async (signal) => {
      const registry = await startRegistry();
      const app = await startRegistered(ENDS_WITH_ITS_INPUT, registry.url);
      registry.child.kill('SIGSTOP');
      const startMs = performance.now();
      if (signal === undefined) app.child.stdin?.end();
      else app.child.kill(signal);
      expect(await app.ended).toBe(signal ?? 0);
      // A call would wait ten seconds; the rest is for a busy machine.
      expect(performance.now() - startMs).toBeLessThan(5_000);
    },
  );

  it('goes on when another process takes its name', async () => {
    const { url } = await startRegistry();
    const app = await startRegistered(ENDS_WITH_ITS_INPUT, url);
    start(process.execPath, [MEMBER, url, 'oven']);
    await eventually('it is told', () => app.said.stderr.includes('"oven" is held by a newer registration'));
    app.child.stdin?.end();
    expect(await app.ended).toBe(0);
    expect(await namesOf(url)).toEqual(['registered', 'registered']);
  });

  it('may be a tree of processes: those below do not register the same name', async () => {
    const { url } = await startRegistry();
    const app = start(process.execPath, [FAMILY], {
      environment: await at(url, { NODE_OPTIONS: `--import ${AUTO}` }),
    });
    await eventually('it is registered', async () => (await namesOf(url)).includes('registered'));
    app.child.stdin?.write('go on\n');
    await eventually('they ended', () => app.said.stdout.includes('child 0, worker 0'));
    app.child.stdin?.end();
    expect(await app.ended).toBe(0);
    expect(app.said.stderr).toBe('');
    expect(await namesOf(url)).toEqual(['registered', 'deregistered']);
  });

  it('may fork in its first moment: the child does not take its name', async () => {
    const { url } = await startRegistry();
    const app = start(process.execPath, [FORKS_AT_ONCE], {
      environment: await at(url, { NODE_OPTIONS: `--import ${AUTO}` }),
    });
    await eventually('the child ended', () => app.said.stdout.includes('child 0'));
    expect(await namesOf(url)).toEqual(['registered']);
    app.child.stdin?.end();
    expect([await app.ended, app.said.stderr]).toEqual([0, '']);
    expect(await namesOf(url)).toEqual(['registered', 'deregistered']);
  });

  it.each([
    { file: 'membrane.json', content: '{ "membraneId": "oven" }', isOn: true },
    { file: 'membrane.json', content: '{ "membraneId": "oven", "autoRegister": false }', isOn: false },
    {
      file: '.devcontainer/devcontainer.json',
      content:
        '{ // Ours.\n "features": { "ghcr.io/x/membrane:1": { "membraneId": "oven", "parentMembrane": "house", }, }, }',
      isOn: true,
      parent: 'house',
    },
    {
      file: '.devcontainer/devcontainer.json',
      content: '{ "features": { "membrane": { "membraneId": "oven", "enableNamespace": false } } }',
      isOn: false,
    },
  ])('does as $file says: $content', async ({ file, content, isOn, parent }) => {
    const { url } = await startRegistry();
    const directory = await makeDirectory();
    await mkdir(join(directory, '.devcontainer'));
    await mkdir(join(directory, 'source'));
    await writeFile(join(directory, file), content);
    const { MEMBRANE_ID, ...environment } = await at(url);
    const app = start(process.execPath, ['--import', AUTO, ASKS_OFTEN], {
      environment,
      cwd: join(directory, 'source'),
    });
    expect(await app.ended).toBe(0);
    expect(await journalOf(url, 'oven')).toMatchObject(
      isOn ? [{ event: 'registered', record: { parent: parent ?? null } }, { event: 'deregistered' }] : [],
    );
    expect(app.said.stderr).toBe('');
  });

  it('runs without a registration, and says why, where its configuration cannot be used', async () => {
    const { url } = await startRegistry();
    const app = startApp('console.log("up")', { environment: await at(url, { MEMBRANE_ID: 'the oven' }) });
    expect(await app.ended).toBe(0);
    expect(app.said.stdout).toBe('up\n');
    expect(app.said.stderr).toMatch(/MembraneWarning: MEMBRANE_ID must .*; got "the oven"/);
  });
});
