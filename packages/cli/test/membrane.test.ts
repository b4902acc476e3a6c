import { readFile } from 'node:fs/promises';
import { expectWords, NOBODY, useMembrane } from './support/membrane.js';

const { begin, createUser } = useMembrane();

const TIMEOUT = '--timeout must be a duration from 1ms to 1d, as "5s"';
const INTERVAL = '--heartbeat-interval must be a duration from 250ms to 1d, as "5s"';
const ID_RULE = 'must be 1 to 128 letters, digits, ".", "_", ":" and "-"';
const LONG = 'x'.repeat(20_000);
const RUN = ['run', '--id', 'oven'];
const REGISTER = ['register', '--id', 'oven'];

describe('wrong usage', () => {
  it.each([
    [['frobnicate'], 'Unknown argument: frobnicate; see membrane --help'],
    [[], 'which command?; see membrane --help'],
    [['--json'], 'which command?; see membrane --help'],
    [['list', '--frobnicate'], 'Unknown argument: frobnicate; see membrane --help'],
    [['list', 'oven'], 'Unknown argument: oven; see membrane --help'],
    [['list', '--registry-url'], 'Not enough arguments following: registry-url; see membrane --help'],
    [['list', '--meta', 'a=1', '--meta', 'a=2'], '--meta a must be given once'],
    [['list', '--parent', 'a', '--parent', 'b'], '--parent must be given once'],
    [['list', '--parent', 'a', '--roots'], 'mutually exclusive'],
    [['list', '--meta', 'zone'], '--meta must be KEY=VALUE; got "zone"'],
    [['list', '--status', 'dead'], 'Argument: status, Given: "dead", Choices: "active"'],
    [['list', '--timeout', 'soon'], `${TIMEOUT}; got "soon"`],
    [['list', '--timeout', '0'], `${TIMEOUT}; got "0"`],
    [['list', '--namespace', 'a b'], '--namespace must be 1 to 63 letters'],
    [
      ['list', '--registry-url', 'nowhere'],
      '--registry-url must be a URL as "http://127.0.0.1:8765", or several separated by commas; got "nowhere"',
    ],
    [
      ['list', '--registry-url', 'ftp://me:hu/sh@there'],
      '--registry-url must be a URL as "http://127.0.0.1:8765", or several separated by commas; got "ftp://***@there"',
    ],
    [['list', '--timeout', '999d'], `${TIMEOUT}; got "999d"`],
    [['list', '--timeout', '0.0001ms'], `${TIMEOUT}; got "0.0001ms"`],
    [['list', '--roots=maybe'], '--roots must be true or false; got "maybe"'],
    [['list', '--json='], '--json must be true or false; got ""'],
    [['list', '--no-parent'], 'Unknown argument: no-parent'],
    [['list', '--no-timeout'], 'Unknown argument: no-timeout'],
    [['status', '--no-id'], 'Unknown argument: no-id'],
    [['list', '--meta.zone=a'], 'Unknown argument: meta.zone'],
    [['list', '--timeout.ms=5'], 'Unknown argument: timeout.ms'],
    [['list', '--meta', 'zone=a', 'oven'], 'Unknown argument: oven'],
    [['list', '--', 'oven'], 'nothing may follow --, except after `membrane run`'],
    [['discover'], 'Not enough non-option arguments'],
    [['discover', 'a b'], 'id must be 1 to 128 letters'],
    [['tree', 'the oven'], `the name ${ID_RULE}`],
    [['tree', '--depth', '65'], '--depth must be a whole number from 0 to 64; got "65"'],
    [
      ['watch', '--subtree', 'the oven'],
      `--subtree ${ID_RULE}, the first of them a letter or a digit; got "the`,
    ],
    [
      ['watch', '--ids', 'oven,the lamp'],
      `--ids ${ID_RULE}, the first of them a letter or a digit; got "the l`,
    ],
    [['watch', '--ids', 'oven', '--subtree', 'house'], 'mutually exclusive'],
    [['log', '--limit', 'all'], '--limit must be a whole number from 1 to 10000; got "all"'],
    [['move', 'oven'], 'where to? name the parent, or give --to-top'],
    [['move', 'the oven', 'hall'], `the name ${ID_RULE}`],
    [['move', 'oven', 'hall', '--if-revision', 'x'], '--if-revision must be a whole number; got "x"'],
    [['divide', 'kitchen', 'oven'], 'an heir must be CHILD=SIBLING; got "oven"'],
    [['divide', 'kitchen', 'oven=a', 'oven=b'], 'an heir oven must be given once'],
    [['drain', 'oven', '--off', '--reason', 'x'], '--reason goes with a drain that begins, not with --off'],
    [['registry'], 'registry needs a verb: start, stop or status'],
    [
      ['registry', 'start', '--registry-url', NOBODY],
      '--registry-url has no meaning for `membrane registry start`',
    ],
    [
      ['registry', 'start', '--namespace', 'cellar'],
      '--namespace has no meaning for `membrane registry start`',
    ],
    [['registry', 'start', '--id', 'oven'], '--id has no meaning for `membrane registry start`'],
    [['registry', 'start', '--timeout', '5s'], '--timeout has no meaning for `membrane registry start`'],
    [
      ['registry', 'stop', '--registry-url', NOBODY],
      '--registry-url has no meaning for `membrane registry stop`',
    ],
    [
      ['registry', 'stop', '--namespace', 'cellar'],
      '--namespace has no meaning for `membrane registry stop`',
    ],
    [['registry', 'stop', '--id', 'oven'], '--id has no meaning for `membrane registry stop`'],
    [['registry', 'start', '--port', 'http'], '--port must be a whole number from 0 to 65535; got "http"'],
    [
      ['registry', 'start', '--detach', '--data', ':memory:', '--registry-id=-x'],
      '--registry-id must be 1 to 63',
    ],
    [
      ['register', '--id', 'the oven'],
      `--id ${ID_RULE}, the first of them a letter or a digit; got "the oven"`,
    ],
    [['register', '--id', ''], `--id ${ID_RULE}, the first of them a letter or a digit; got ""`],
    [['register', 'the house', '--id', 'oven'], `the parent ${ID_RULE}`],
    [['register', 'house', 'kitchen', '--id', 'oven'], 'Unknown argument: kitchen'],
    [[...REGISTER, '--instance', 'a b'], '--instance must be 1 to 63 letters'],
    [[...REGISTER, '--mode', 'pigeon'], 'Argument: mode, Given: "pigeon", Choices: "shared-volume"'],
    [[...REGISTER, '--meta', 'zone'], '--meta must be KEY=VALUE; got "zone"'],
    [[...REGISTER, '--meta', '=a'], '--meta must be KEY=VALUE; got "=a"'],
    [[...REGISTER, '--heartbeat-interval', 'often'], `${INTERVAL}; got "often"`],
    [[...REGISTER, '--heartbeat-interval', '10ms'], `${INTERVAL}; got "10ms"`],
    [[...REGISTER, '--id', 'lamp'], '--id must be given once'],
    [['heartbeat', 'oven'], 'Unknown argument: oven'],
    [['heartbeat', '--id', 'oven', '--instance', 'a b'], '--instance must be 1 to 63 letters'],
    [['heartbeat', '--id', 'oven', '--timeout', 'soon'], `${TIMEOUT}; got "soon"`],
    [[...REGISTER, '--replace=maybe'], '--replace must be true or false; got "maybe"'],
    [['deregister', 'the oven'], `the name ${ID_RULE}`],
    [['deregister', 'oven', '--id', 'lamp'], '"oven" and --id "lamp" are two: give one of them'],
    [['discover', '\u001b[2Jthe oven'], 'got "\\u001b[2Jthe oven"'],
    [['deregister', 'oven', 'lamp'], 'Unknown argument: lamp'],
    [['deregister', 'oven', '--instance'], 'Not enough arguments following: instance'],
    [['status', 'oven'], 'Unknown argument: oven'],
    [['status', '--id', 'the oven'], `--id ${ID_RULE}`],
    [[...RUN, '--require=1', '--', 'true'], '--require must be true or false; got "1"'],
    [[...RUN, '--', ''], 'which command? give it after --'],
    [RUN, 'which command? give it after --, as `membrane run -- node app.js`'],
    [[...RUN, '--'], 'which command? give it after --'],
    [[...RUN, 'true', 'true'], 'Unknown argument: true'],
    [[...RUN, '--frobnicate', '--', 'true'], 'Unknown argument: frobnicate'],
    [['run', '--id', 'the oven', '--', 'true'], `--id ${ID_RULE}`],
    [['run', 'the house', '--id', 'oven', '--', 'true'], `the parent ${ID_RULE}`],
    [[...RUN, '--heartbeat-interval', 'often', '--', 'true'], INTERVAL],
    [[...RUN, '--meta', 'zone', '--', 'true'], '--meta must be KEY=VALUE; got "zone"'],
  ])('%j exits by 2 and says why', async (args, message) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expectWords(stderr);
  });

  it.each([
    {
      args: [...REGISTER, '--meta', `zone=${LONG}`],
      words: '--meta must be at most 16384 bytes as JSON; got ',
    },
    { args: ['list', '--meta', LONG], words: '--meta must be KEY=VALUE; got "xxx' },
    { args: ['list', '--meta', `${LONG}=1`, '--meta', `${LONG}=2`], words: '--meta xxx' },
    { args: [...REGISTER, '--endpoint', LONG], words: '--endpoint must be at most ' },
    { args: ['list', '--registry-url', `ftp://me:${LONG}@there`], words: 'got "ftp://***@there"' },
  ])('shows only the beginning of a value that is long: $words', async ({ args, words }) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stderr } = await membrane(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(words)]);
    expect(stderr.length).toBeLessThan(400);
    if (!words.startsWith('got')) expect(stderr).toContain('…');
    expectWords(stderr);
  });

  it.each([
    [[...REGISTER, '--weight', 'heavy'], '--weight', 'heavy'],
    [[...RUN, '--weight', 'heavy', '--', 'true'], '--weight', 'heavy'],
    [[...REGISTER, '--weight', '5000'], '--weight', '5000'],
    [[...REGISTER, '--mode', 'network'], '--endpoint', 'network'],
  ])('%j exits by 2 and names flag and value', async (args, flag, value) => {
    const { membrane } = await begin();
    const { code, stdout, stderr } = await membrane(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(flag);
    expect(stderr).toContain(value);
    expectWords(stderr);
  });
});

describe('where no registry answers', () => {
  it.each([[['list']], [['discover', 'oven']]])('%j exits by 3 and says what to do', async (args) => {
    const { membrane } = await createUser(NOBODY);
    expect(await membrane(args)).toEqual({
      code: 3,
      stdout: '',
      stderr: `membrane: no registry answers at ${NOBODY} (ECONNREFUSED): start one by \`membrane registry start\`, or name another by --registry-url or MEMBRANE_REGISTRY_URL\n`,
    });
  });

  it('another one of the list is asked', async () => {
    const { membrane, registry } = await begin();
    expect(await membrane(['list', '--registry-url', `${NOBODY},${registry.url}`])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no membranes\n',
    });
  });

  it('a proxy for the world outside is not asked', async () => {
    const { membrane } = await begin();
    const environment = { HTTP_PROXY: NOBODY, http_proxy: NOBODY };
    expect(await membrane(['list'], { environment })).toMatchObject({ code: 0 });
  });
});

it.each(['de_DE.UTF-8', 'tr_TR.UTF-8'])('speaks one language, also where its user has %s', async (locale) => {
  const { membrane } = await createUser(NOBODY);
  const { stderr } = await membrane(['frobnicate'], { environment: { LC_ALL: locale, LANG: locale } });
  expect(stderr).toBe('membrane: Unknown argument: frobnicate; see membrane --help\n');
});

describe('help', () => {
  it.each([
    { verb: 'list', words: ['--parent', '--roots', '--subtree', '--status', '--meta', '--watch', '--json'] },
    { verb: 'tree', words: ['[name]', '--depth', '--namespace', '--json'] },
    { verb: 'watch', words: ['--subtree', '--ids', '--since', '--json'] },
    { verb: 'log', words: ['[name]', '--follow', '--limit', '--since'] },
    { verb: 'move', words: ['<name> [parent]', '--to-top', '--if-revision'] },
    { verb: 'dissolve', words: ['<name>', '--if-revision'] },
    { verb: 'divide', words: ['<name> <heirs..>', 'CHILD=SIBLING', '--if-revision'] },
    { verb: 'drain', words: ['<name>', '--reason', '--instance', '--off'] },
    { verb: 'discover', words: ['<name>', '--namespace', '--json'] },
    {
      verb: 'register',
      words: ['[parent]', '--keep-alive', '--replace', '--endpoint', '--heartbeat-interval'],
    },
    { verb: 'deregister', words: ['[name]', '--force', '--cascade', '--instance'] },
    { verb: 'heartbeat', words: ['--id', 'MEMBRANE_ID', '--instance'] },
    { verb: 'status', words: ['--id', '--registry-url', 'MEMBRANE_REGISTRY_URL'] },
    { verb: 'run', words: ['[parent] -- CMD', '--require', 'MEMBRANE_ID', '--mode', '--meta'] },
    { verb: 'send', words: ['<target>', '<message>', '@FILE', '--json-payload', '--wait-for', 'deadline'] },
    { verb: 'request', words: ['<target>', '<message>', '--type', '--stream', '--debug'] },
    { verb: 'broadcast', words: ['@in*', '@siblings', '@subtree', '--wait-for'] },
    { verb: 'receive', words: ['[parent]', '--exec', '--count', '--type', '--stream', '--replace'] },
    { verb: 'dead-letters list', words: ['--limit', '--id'] },
    { verb: 'dead-letters requeue', words: ['[messages..]', '--all'] },
    { verb: 'dead-letters discard', words: ['[messages..]', '--all'] },
    { verb: 'registry', words: ['start', 'stop', 'status'] },
    { verb: 'registry start', words: ['--port', '--data', '--detach', 'MEMBRANE_REGISTRY_PORT'] },
    { verb: 'registry stop', words: ['--data'] },
    { verb: 'registry status', words: ['--registry-url'] },
  ])('of $verb shows its flags and an example', async ({ verb, words }) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane([...verb.split(' '), '--help']);
    expect([code, stderr]).toEqual([0, '']);
    for (const word of words) expect(stdout).toContain(word);
    expect(stdout).toMatch(new RegExp(`Examples:\\n +membrane ${verb}`));
  });

  it('shows all verbs', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout } = await membrane(['--help']);
    expect(code).toBe(0);
    const verbs = [...stdout.matchAll(/^ {2}membrane ([\w-]+)/gm)].map(([, verb]) => verb);
    expect(verbs.sort()).toEqual(
      'broadcast completion dead-letters deregister discover dissolve divide drain heartbeat list log move receive register registry request run send status tree watch'.split(
        ' ',
      ),
    );
  });

  it('says its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    const { membrane } = await createUser(NOBODY);
    expect(await membrane(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    { shell: '/bin/bash', words: '###-begin-membrane-completions-###' },
    { shell: '/bin/zsh', words: '#compdef membrane' },
  ])('is a script for the shell too, for $shell', async ({ shell, words }) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout } = await membrane(['completion'], { environment: { SHELL: shell, ZSH_NAME: '' } });
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`^${words}\n`))]);
  });
});
