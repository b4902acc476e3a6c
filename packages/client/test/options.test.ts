import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { parseClientOptions, type ClientOptions, type NamespaceClientOptions } from '../src/options.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

interface Given {
  readonly id?: string;
  readonly code?: NamespaceClientOptions;
  readonly environment?: Readonly<Record<string, string>>;
  /** Texts by path below a directory of the test. */
  readonly files?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

async function parse({
  id,
  code,
  environment = {},
  files = {},
  cwd = 'work',
}: Given): Promise<ClientOptions> {
  const root = await makeDirectory();
  await mkdir(join(root, cwd), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const inRoot = Object.entries(environment).map(([name, value]) => [name, value.replace('ROOT', root)]);
  try {
    return parseClientOptions(id, code, {
      environment: Object.fromEntries(inRoot) as Record<string, string>,
      workingDirectory: join(root, cwd),
      olderConfigFile: join(root, 'opt/membrane.json'),
    });
  } catch (error) {
    (error as Error).message = (error as Error).message.replaceAll(root, 'ROOT');
    throw error;
  }
}

const sourceOf = ({ settings }: ClientOptions, wanted: string): string | undefined =>
  settings.find(({ name }) => name === wanted)?.source.replace(/\/\S*membrane-test-\w+/, 'ROOT');

const DEVCONTAINER = `\u{feff}{
  // a development container
  "name": "kitchen", /* with comments */
  "features": {
    "ghcr.io/devcontainers/features/node:1": "lts",
    "ghcr.io/somebody/features/membrane:1": {
      "membraneId": "oven",
      "registryUrl": "http://registry:8765/, http://other:8765",
      "parentMembrane": "kitchen",
      "communicationMode": "network",
      "namespaceId": "house",
      "autoRegister": "false",
    },
  },
}`;

it.each([
  ['127.0.0.1:9000', { host: '127.0.0.1', port: 9_000 }],
  ['[::1]:9000', { host: '::1', port: 9_000 }],
  [':9000', { port: 9_000 }],
  ['localhost:', { host: 'localhost' }],
])('MEMBRANE_LISTEN=%s is where to listen', async (text, listen) => {
  const options = await parse({ environment: { MEMBRANE_LISTEN: text } });
  expect(options.listen).toEqual(listen);
  expect(options.settings).toContainEqual({ name: 'listen', value: text, source: 'MEMBRANE_LISTEN' });
  expect((await parse({ code: { listen }, environment: { MEMBRANE_LISTEN: ':1' } })).listen).toEqual(listen);
});

describe('options', () => {
  it('have defaults, with a name that nobody else has', async () => {
    expect(await parse({})).toMatchObject({
      id: `${hostname().replace(/[^A-Za-z0-9._:-]/g, '-')}-${process.pid}`,
      registryUrls: ['http://127.0.0.1:8765'],
      namespace: 'default',
      instanceId: 'default',
      parent: null,
      communicationMode: 'shared-volume',
      metadata: {},
      heartbeatIntervalMs: 5_000,
      timeoutMs: 10_000,
      autoRegister: true,
      sharedRoot: undefined,
      cache: { ttlMs: 5_000, negativeTtlMs: 1_000, maxStaleMs: 600_000, maxEntries: 10_000 },
    });
  });

  it('come from code, then the environment, then a file, then the defaults', async () => {
    const files = { 'work/.devcontainer/devcontainer.json': DEVCONTAINER };
    const fromFile = await parse({ files });
    expect(fromFile).toMatchObject({
      id: 'oven',
      registryUrls: ['http://registry:8765', 'http://other:8765'],
      parent: 'kitchen',
      communicationMode: 'network',
      namespace: 'house',
      autoRegister: false,
    });
    expect(sourceOf(fromFile, 'id')).toBe('membraneId in ROOT/work/.devcontainer/devcontainer.json');
    expect(sourceOf(fromFile, 'sharedRoot')).toBe('default');

    const environment = {
      MEMBRANE_ID: 'pot',
      MEMBRANE_PARENT: '',
      MEMBRANE_REGISTRY_URL: 'http://b:1/, http://c:2',
      MEMBRANE_AUTO_REGISTER: 'true',
      MEMBRANE_SHARED_ROOT: '/srv/shared',
      MEMBRANE_INSTANCE_ID: 'r-1',
    };
    const fromEnvironment = await parse({ files, environment });
    expect(fromEnvironment).toMatchObject({
      id: 'pot',
      // An empty variable is an unset one.
      parent: 'kitchen',
      registryUrls: ['http://b:1', 'http://c:2'],
      autoRegister: true,
      sharedRoot: '/srv/shared',
      instanceId: 'r-1',
    });
    expect(sourceOf(fromEnvironment, 'id')).toBe('MEMBRANE_ID');

    const code = { registryUrl: ['http://d:3'], parent: null, namespace: 'garden' };
    const fromCode = await parse({ id: 'lamp', code, files, environment });
    expect(fromCode).toMatchObject({
      id: 'lamp',
      registryUrls: ['http://d:3'],
      parent: null,
      namespace: 'garden',
    });
    expect(sourceOf(fromCode, 'parent')).toBe('code');
  });

  it.each([
    { files: { '.devcontainer.json': '{"features":{"membrane":{"membraneId":"a"}}}' }, id: 'a' },
    { files: { 'work/membrane.json': '{"membraneId":"b"}' }, id: 'b' },
    { files: { 'membrane.json': '{"membraneId":"c"}', 'opt/membrane.json': '{"id":"d"}' }, id: 'c' },
    { files: { 'opt/membrane.json': '{"id":"d","registry":{}}' }, id: 'd' },
    {
      // One that says nothing of membranes is passed over.
      files: {
        'work/.devcontainer/devcontainer.json': '{"features":{"ghcr.io/x/notmembrane:1":{}}}',
        'work/.devcontainer.json': '{}',
        'membrane.json': '{"membraneId":"e"}',
      },
      id: 'e',
    },
    {
      files: { 'other.json': '{"membraneId":"f"}' },
      environment: { MEMBRANE_CONFIG: 'ROOT/other.json' },
      id: 'f',
    },
    { files: { 'work/.devcontainer.json': '{"features":{"x/membrane":{"membraneId":"g"}}}' }, id: 'g' },
  ])('are found in $files', async ({ files, environment, id }) => {
    const options = await parse({
      files: files,
      ...(environment && { environment }),
    });
    expect(options.id).toBe(id);
  });

  it.each([
    { parent: 'null', expected: null },
    { parent: '', expected: null },
    { parent: null, expected: null },
    { parent: 'house', expected: 'house' },
  ])('read the older layout, with the parent $parent', async ({ parent, expected }) => {
    const older = {
      id: 'oven',
      parent,
      communication_mode: 'ipc',
      registry: { enabled: true, url: 'http://old:1', namespace_id: 'cellar', auto_register: false },
    };
    expect(await parse({ files: { 'opt/membrane.json': JSON.stringify(older) } })).toMatchObject({
      id: 'oven',
      parent: expected,
      communicationMode: 'ipc',
      registryUrls: ['http://old:1'],
      namespace: 'cellar',
      autoRegister: false,
    });
  });

  it('switch auto-registration off where the namespace is switched off', async () => {
    const files = { 'membrane.json': '{"enableNamespace":false,"autoRegister":true}' };
    expect((await parse({ files })).autoRegister).toBe(false);
  });

  it.each([
    {
      code: { registryUrl: 'localhost:8765' },
      message:
        'registryUrl must be a URL as "http://127.0.0.1:8765", or several separated by commas; got "localhost:8765"',
    },
    { code: { registryUrl: [] }, message: 'registryUrl must be a URL as' },
    {
      environment: { MEMBRANE_REGISTRY_URL: 'ftp://a' },
      message:
        'MEMBRANE_REGISTRY_URL must be a URL as "http://127.0.0.1:8765", or several separated by commas; got "ftp://a"',
    },
    { environment: { MEMBRANE_REGISTRY_URL: 'http://a,b' }, message: 'MEMBRANE_REGISTRY_URL must be a URL' },
    { environment: { MEMBRANE_NAMESPACE: 'a b' }, message: 'MEMBRANE_NAMESPACE must be 1 to 63 letters' },
    {
      environment: { MEMBRANE_AUTO_REGISTER: 'yes' },
      message: 'MEMBRANE_AUTO_REGISTER must be true or false; got "yes"',
    },
    {
      environment: { MEMBRANE_COMMUNICATION_MODE: 'pigeon' },
      message: /^MEMBRANE_COMMUNICATION_MODE .*"shared-volume".*; got "pigeon"$/,
    },
    {
      environment: { MEMBRANE_CONFIG: 'ROOT/none.json' },
      message: 'the config file ROOT/none.json cannot be read: ENOENT',
    },
    {
      environment: { MEMBRANE_LISTEN: '9000' },
      message: 'MEMBRANE_LISTEN must be a host and a port as "0.0.0.0:9000" or ":9000"; got "9000"',
    },
    { environment: { MEMBRANE_LISTEN: ':65536' }, message: /^MEMBRANE_LISTEN .*; got ":65536"$/ },
    { environment: { MEMBRANE_LISTEN: '::1:80' }, message: /^MEMBRANE_LISTEN .*; got "::1:80"$/ },
    { environment: { MEMBRANE_LISTEN: ':' }, message: /^MEMBRANE_LISTEN .*; got ":"$/ },
    { code: { listen: {} }, message: /^listen must be .*; got \{\}$/ },
    { code: { listen: { host: 'a b' } }, message: /^listen must be .*; got \{ host: 'a b' \}$/ },
    { code: { listen: { port: 1.5 } }, message: /^listen must be / },
    {
      code: { messaging: { maxConnections: 0 } },
      message: 'messaging.maxConnections must be a whole number',
    },
    { code: { timeoutMs: 0 }, message: 'timeoutMs must be a whole number from 1 to 86400000; got 0' },
    {
      code: { heartbeatIntervalMs: 249 },
      message: 'heartbeatIntervalMs must be a whole number from 250 to 86400000; got 249',
    },
    { code: { cache: { maxEntries: 0 } }, message: 'cache.maxEntries must be a whole number from 1' },
    { code: { instanceId: '-' }, message: 'instanceId must be 1 to 63' },
    {
      code: { metadata: { big: 'x'.repeat(17_000) } },
      message: 'metadata must be at most 16384 bytes as JSON',
    },
    {
      code: { leaseToken: 'short-secret' },
      message: /^leaseToken must be 16 to 256 printable ASCII characters without spaces$/,
    },
    { id: '', message: 'id must be 1 to 128 letters' },
    { files: { 'membrane.json': '{"membraneId": 7}' }, message: 'membraneId in ROOT/membrane.json ' },
    {
      files: { 'membrane.json': '{"enableNamespace": 1}' },
      message: 'enableNamespace in ROOT/membrane.json must be true or false; got 1',
    },
    {
      files: { 'membrane.json': '{"registryUrl": {"a":1}}' },
      message: 'registryUrl in ROOT/membrane.json must be a URL',
    },
    {
      files: { 'membrane.json': '{"membraneId": ' },
      message: 'the config file ROOT/membrane.json is not JSON with comments: ',
    },
    { files: { 'membrane.json': '[]' }, message: 'the config file ROOT/membrane.json must be a JSON object' },
    {
      files: { '.devcontainer.json': '{"features":[]}' },
      message: 'the config file ROOT/.devcontainer.json has a key "features" that is no object',
    },
    {
      files: { 'opt/membrane.json': '{"registry":{"url":"x"}}' },
      message: 'registry.url in ROOT/opt/membrane.json must be a URL',
    },
  ])('say what is wrong: $message', async ({ message, ...given }) => {
    const error: unknown = await parse(given as Given).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'invalid_request' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('short-secret');
  });
});
