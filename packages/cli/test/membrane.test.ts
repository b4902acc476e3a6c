import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../bin/membrane.js', import.meta.url));
const NOBODY = 'http://127.0.0.1:9';

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let directory: string;
let url: string;

async function membrane(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, MEMBRANE_REGISTRY_URL: url, ...environment },
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

async function register(id: string, rest: object = {}): Promise<void> {
  const response = await fetch(`${url}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, endpoint: `/run/${id}`, communication_mode: 'ipc', ...rest }),
  });
  expect(response.status).toBe(200);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'membrane-cli-'));
  url = NOBODY;
  const started = await membrane([
    'registry',
    'start',
    '--detach',
    '--json',
    '--port',
    '0',
    '--data',
    directory,
  ]);
  expect(started).toMatchObject({ code: 0, stderr: '' });
  url = (JSON.parse(started.stdout) as { url: string }).url;
  await register('house');
  await register('oven', { parent: 'house', metadata: { zone: 'a' }, namespace: 'default' });
  await register('evil', { parent: 'gone', metadata: { text: '\u001b[31mred\u001b[2J' } });
}, 30_000);

afterAll(async () => {
  const stopped = await membrane(['registry', 'stop', '--data', directory]);
  expect(stopped).toMatchObject({ code: 0, stdout: '' });
  expect(stopped.stderr).toMatch(/^registry stopped \(pid \d+\)\n$/);
  expect(await membrane(['registry', 'stop', '--data', directory])).toMatchObject({
    code: 4,
    stderr: `membrane: no registry is running on ${directory}\n`,
  });
  await rm(directory, { recursive: true });
}, 30_000);

describe('list', () => {
  it('prints a line a membrane, with tabs in between, where it is no terminal', async () => {
    const { code, stdout, stderr } = await membrane(['list']);
    expect([code, stderr]).toEqual([0, '']);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')),
    ).toEqual([
      ['house', 'active', '-', 'ipc', expect.stringMatching(/^\d+ s$/), '/run/house'],
      ['oven', 'active', 'house', 'ipc', expect.stringMatching(/^\d+ s$/), '/run/oven'],
      ['evil', 'active', 'gone (absent)', 'ipc', expect.stringMatching(/^\d+ s$/), '/run/evil'],
    ]);
  });

  it('prints the JSON of the wire', async () => {
    const { stdout } = await membrane(['list', '--json', '--parent', 'house']);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({ id: 'oven', communication_mode: 'ipc', metadata: { zone: 'a' } }),
    ]);
  });

  it('filters', async () => {
    const ids = async (...args: string[]): Promise<string[]> =>
      (JSON.parse((await membrane(['list', '--json', ...args])).stdout) as { id: string }[]).map(
        ({ id }) => id,
      );
    expect(await ids('--roots')).toEqual(['house']);
    expect(await ids('--meta', 'zone=a')).toEqual(['oven']);
    expect(await ids('--meta', 'floor=1', '--meta', 'zone=a')).toEqual([]);
    expect(await ids('--mode', 'network')).toEqual([]);
    expect(await ids('--status', 'unhealthy')).toEqual([]);
  });

  it('says on standard error that there is nobody', async () => {
    expect(await membrane(['list', '--namespace', 'other'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no membranes\n',
    });
  });

  it('is a table on a terminal, no wider than it, coloured unless that is unwanted', () => {
    // `script` of util-linux gives the command a terminal.
    if (!String(spawnSync('script', ['--version']).stdout).includes('util-linux')) {
      if (process.env['CI'] === 'true') throw new Error('script of util-linux is not installed');
      process.stderr.write('\nSKIPPED: tables on a terminal, since script of util-linux is not installed\n');
      return;
    }
    const { FORCE_COLOR, ...quiet } = process.env;
    const onTerminal = (columns: number, environment: Record<string, string>): string =>
      spawnSync('script', ['-qec', `stty cols ${columns}; ${process.execPath} ${BIN} list`, '/dev/null'], {
        encoding: 'utf8',
        env: { ...quiet, MEMBRANE_REGISTRY_URL: url, TERM: 'xterm', ...environment },
      }).stdout;
    const plain = onTerminal(50, { NO_COLOR: '1' });
    const lines = plain.trimEnd().split(/\r?\n/);
    expect(lines[0]).toMatch(/^ID +STATUS +PARENT +MODE +HEARD +ENDPOINT$/);
    expect(lines).toHaveLength(4);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
    expect(plain).toContain('…');
    expect(plain).not.toContain('\u001b');
    expect(onTerminal(120, { NO_COLOR: '' })).toContain('\u001b[32mactive');
  });
});

describe('discover', () => {
  it('prints what there is to know', async () => {
    const { code, stdout } = await membrane(['discover', 'oven']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^id: +oven\ninstance: +default\n[^]*parent: +house\nendpoint: +ipc \/run\/oven\nmetadata: +\{"zone":"a"\}\n/,
    );
  });

  it('lets nobody write to the terminal of another', async () => {
    const { stdout } = await membrane(['discover', 'evil']);
    expect(stdout).toContain('red');
    expect(stdout).not.toContain('\u001b');
  });

  it('exits by 4 where there is none', async () => {
    const { code, stdout, stderr } = await membrane(['discover', 'nobody']);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toBe(
      `membrane: no membrane "nobody" in namespace "default" of ${url}; \`membrane list\` shows who is there\n`,
    );
  });
});

describe('registry', () => {
  it('tells its status', async () => {
    const { code, stdout } = await membrane(['registry', 'status']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/membranes: +3: 3 active, 0 unhealthy, 0 draining\n/);
    expect(JSON.parse((await membrane(['registry', 'status', '--json'])).stdout)).toMatchObject({
      membrane_count: 3,
    });
  });

  it.each([[[]], [['--detach']]])('does not start %j on data that another one holds', async (args) => {
    const { code, stdout, stderr } = await membrane([
      'registry',
      'start',
      '--port',
      '0',
      '--data',
      directory,
      ...args,
    ]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^membrane: .*registry\.sqlite is in use by process \d+, the registry at http.*; stop it, or choose/,
    );
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('does not start on a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await membrane([
      'registry',
      'start',
      '--port',
      String(port),
      '--data',
      ':memory:',
    ]);
    other.close();
    expect([code, stderr]).toEqual([1, expect.stringContaining(`port ${port} on 127.0.0.1 is in use`)]);
  });

  it('runs in the foreground until a signal, with one line on standard output', async () => {
    const child = spawn(process.execPath, [BIN, 'registry', 'start', '--port', '0', '--data', ':memory:']);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString()).toMatch(
      /^registry ready at http:\/\/127\.0\.0\.1:\d+, data in :memory:, pid \d+\n$/,
    );
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  it('logs beside its data', async () => {
    expect(await readFile(join(directory, 'registry.log'), 'utf8')).toContain('"msg":"ready"');
  });
});

describe('wrong usage', () => {
  it.each([
    [['frobnicate'], 2, 'Unknown argument: frobnicate; see membrane --help'],
    [[], 2, 'which command?; see membrane --help'],
    [['list', '--frobnicate'], 2, 'Unknown argument: frobnicate; see membrane --help'],
    [['list', '--registry-url'], 2, 'Not enough arguments following: registry-url; see membrane --help'],
    [['list', '--meta', 'a=1', '--meta', 'a=2'], 2, '--meta a must be given once'],
    [['list', '--parent', 'a', '--parent', 'b'], 2, '--parent must be given once'],
    [
      ['registry', 'start', '--detach', '--data', ':memory:', '--registry-id=-x'],
      2,
      '--registry-id must be 1 to 63',
    ],
    [['list', '--meta', 'zone'], 2, '--meta must be KEY=VALUE; got "zone"'],
    [['list', '--timeout', 'soon'], 2, '--timeout must be a duration as "500ms" or "5s"; got "soon"'],
    [
      ['list', '--registry-url', 'nowhere'],
      2,
      'registryUrl must be a URL as "http://127.0.0.1:8765"; got "nowhere"',
    ],
    [['list', '--status', 'dead'], 2, 'Invalid values'],
    [['discover'], 2, 'Not enough non-option arguments'],
    [['registry'], 2, 'registry needs a verb: start, stop or status'],
    [['registry', 'start', '--port', 'http'], 2, '--port must be a whole number from 0 to 65535; got "http"'],
    [['discover', 'a b'], 2, 'id must be 1 to 128 letters'],
  ])('%j exits by %i and says why', async (args, code, message) => {
    const run = await membrane(args);
    expect([run.code, run.stdout]).toEqual([code, '']);
    expect(run.stderr).toContain(message);
    expect(run.stderr).not.toMatch(/ {4}at |node:internal/);
  });

  it('goes to the registry itself, whatever proxy there is', async () => {
    expect(await membrane(['list'], { HTTP_PROXY: NOBODY, http_proxy: NOBODY })).toMatchObject({ code: 0 });
  });

  it('exits by 3 where no registry answers, and says what to do', async () => {
    const { code, stderr } = await membrane(['list'], { MEMBRANE_REGISTRY_URL: NOBODY });
    expect([code, stderr]).toEqual([
      3,
      `membrane: no registry answers at ${NOBODY} (ECONNREFUSED): start one by \`membrane registry start\`, or name another by --registry-url or MEMBRANE_REGISTRY_URL\n`,
    ]);
  });
});

describe('help', () => {
  it.each([
    [['list']],
    [['discover']],
    [['registry']],
    [['registry', 'start']],
    [['registry', 'stop']],
    [['registry', 'status']],
  ])('of %j shows an example', async (verb) => {
    const { code, stdout } = await membrane([...verb, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Examples:\\n +membrane ${verb.join(' ')}`));
  });

  it('says its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await membrane(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});
