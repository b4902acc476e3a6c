import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectWords, useMembrane } from './support/membrane.js';

const { begin, createUser, makeDirectory, start } = useMembrane();

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));

/** The command where nothing else is installed, not even the registry: what `files` names, and no node_modules. */
async function installAlone(): Promise<string> {
  const directory = join(await makeDirectory(), 'membrane-cli');
  await mkdir(directory);
  for (const name of ['bin', 'dist', 'package.json']) {
    await cp(join(PACKAGE, name), join(directory, name), { recursive: true });
  }
  return join(directory, 'bin', 'membrane.js');
}

async function run(bin: string, args: readonly string[], environment: Readonly<Record<string, string>>) {
  const { child, ended, said } = start(process.execPath, [bin, ...args], { environment });
  child.stdin?.end();
  return { code: await ended, ...said };
}

describe('the command as it is shipped', () => {
  it('needs no other package to register, to list, and to carry a message', async () => {
    const { registry, environment } = await begin();
    const bin = await installAlone();
    const membrane = (...args: string[]) => run(bin, args, environment);
    await membrane('register', '--id', 'oven', '--endpoint', 'http://127.0.0.1:9');

    expect(await membrane('list')).toMatchObject({ code: 0, stderr: '' });
    expect((await membrane('tree')).stdout).toContain('oven');
    expect(await membrane('send', 'oven', 'bake')).toMatchObject({ code: 0 });
    expect((await membrane('list', '--registry-url', registry.url, '--json')).stdout).toContain('"oven"');
  });

  it('says which package is missing where a verb needs the registry', async () => {
    const { environment } = await createUser('http://127.0.0.1:9');
    const { code, stderr } = await run(await installAlone(), ['registry', 'start'], environment);
    expect(code).toBe(2);
    expectWords(stderr);
    expect(stderr).toContain('npm install @membrane/registry');
  });

  it('tells its version without loading a parser or the client', async () => {
    const { environment } = await createUser('http://127.0.0.1:9');
    const coverage = await makeDirectory();
    const bin = await installAlone();
    const { stdout } = await run(bin, ['--version'], { ...environment, NODE_V8_COVERAGE: coverage });

    const manifest = JSON.parse(await readFile(join(PACKAGE, 'package.json'), 'utf8')) as { version: string };
    expect(stdout).toBe(`${manifest.version}\n`);
    const loaded = await listLoaded(coverage);
    expect(loaded).toContain('membrane.js');
    expect(loaded).toContain('index.js');
    expect(loaded.length).toBeLessThan(8);
    for (const name of loaded) expect(name).not.toMatch(/^(create-cli|dist)-/);
  });

  it('brings the licences of what it contains of others', async () => {
    const licenses = await readFile(join(PACKAGE, 'dist', 'THIRD-PARTY-LICENSES'), 'utf8');
    for (const name of ['axios', 'cli-table3', 'ws', 'yargs', 'zod']) {
      expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(\\S+\\)$`, 'm'));
    }
    expect(licenses).not.toContain('@membrane/');
  });
});

/** The files of the command that a process has loaded, from the coverage that Node wrote of it. */
async function listLoaded(directory: string): Promise<string[]> {
  const [report = ''] = await readdir(directory);
  const { result } = JSON.parse(await readFile(join(directory, report), 'utf8')) as {
    result: { url: string }[];
  };
  return result.filter(({ url }) => url.startsWith('file:')).map(({ url }) => basename(url));
}
