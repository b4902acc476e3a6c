import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { interrupt, printed, startReceiver } from './support/mailroom.js';
import { expectWords, NOBODY, useMembrane, type User } from './support/membrane.js';
import { registerAt } from './support/registry-view.js';

const { begin, createUser } = useMembrane();

const MESSAGE_ID = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}';

/** What `receive` prints of what was sent, in the order of the sends. */
async function payloadsOf(sends: readonly (readonly string[])[], user: Awaited<ReturnType<typeof begin>>) {
  const receiver = await startReceiver(user, 'oven', ['--json', '--count', String(sends.length)]);
  for (const [message = '', ...flags] of sends) {
    expect(await user.membrane(['send', 'oven', message, ...flags])).toMatchObject({ code: 0 });
  }
  expect(await receiver.ended).toBe(0);
  return receiver.said.stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { payload: unknown }).payload);
}

function homeOf({ environment }: User): string {
  return environment['HOME'] ?? '';
}

describe('send', () => {
  it('prints the message id, and says who has handled it by what', async () => {
    const user = await begin();
    await startReceiver(user, 'oven');
    const { code, stdout, stderr } = await user.membrane(['send', 'oven', 'preheat']);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringMatching(new RegExp(`^${MESSAGE_ID}\n$`)) as string,
      stderr: '"oven" has handled it, by ipc\n',
    });
  });

  it('prints by --json what became of it', async () => {
    const user = await begin();
    await startReceiver(user, 'oven');
    const { stdout } = await user.membrane(['send', 'oven', 'preheat', '--json', '--debug']);
    const route = { route: 'ipc', target: 'oven', instance_id: 'default', result: 'processed' };
    expect(JSON.parse(stdout)).toEqual({
      message_id: expect.stringMatching(MESSAGE_ID) as string,
      target: 'oven',
      outcome: 'processed',
      route: { kind: 'ipc', address: expect.stringContaining('oven') as string },
      attempts: [expect.objectContaining(route) as object],
    });
  });

  it('takes a text, a file, and with --json-payload JSON', async () => {
    const user = await begin();
    await writeFile(join(homeOf(user), 'recipe.json'), '{ "degrees": [180, 200] }');
    const sends = [
      ['preheat'],
      ['42'],
      ['-5'],
      ['@@home'],
      ['@recipe.json'],
      ['@recipe.json', '--json-payload'],
      ['{"a":null}', '--json-payload'],
      [''],
    ];
    expect(await payloadsOf(sends, user)).toEqual([
      'preheat',
      '42',
      '-5',
      '@home',
      '{ "degrees": [180, 200] }',
      { degrees: [180, 200] },
      { a: null },
      '',
    ]);
  });

  it('takes standard input, as it is', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--json', '--count', '2']);
    for (const flags of [[], ['--json-payload']]) {
      const { child, ended } = user.start(['send', 'oven', '-', ...flags]);
      child.stdin?.end('["--dashed", 1]\n');
      expect(await ended).toBe(0);
    }
    expect(await receiver.ended).toBe(0);
    const payloads = receiver.said.stdout.trimEnd().split('\n');
    expect(payloads.map((line) => (JSON.parse(line) as { payload: unknown }).payload)).toEqual([
      '["--dashed", 1]\n',
      ['--dashed', 1],
    ]);
  });

  it('gives the message a type, a stream and a sender', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--json', '--count', '1']);
    const flags = ['--type', 'order', '--stream', 'kitchen', '--id', 'cook'];
    expect(await user.membrane(['send', 'oven', 'eggs', ...flags])).toMatchObject({ code: 0 });
    expect(await receiver.ended).toBe(0);
    expect(JSON.parse(receiver.said.stdout)).toMatchObject({
      sender: 'cook',
      type: 'order',
      stream: 'kitchen',
      namespace: 'default',
      payload: 'eggs',
    });
  });

  it('finds the parent, a child, and an instance', async () => {
    const user = await begin();
    const house = await startReceiver(user, 'house');
    const oven = await startReceiver(user, 'oven', ['house']);
    for (const args of [
      ['@out', 'up', '--id', 'oven'],
      ['@in:oven', 'down', '--id', 'house'],
      ['@any:oven', 'anyone'],
    ]) {
      expect(await user.membrane(['send', ...args])).toMatchObject({ code: 0 });
    }
    expect([house.said.stdout, oven.said.stdout]).toEqual(['up\n', 'down\nanyone\n']);
  });

  it('is kept for one that is away, and says for how long', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    const { code, stdout, stderr } = await user.membrane(['send', 'oven', 'later', '--timeout', '90s']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`^${MESSAGE_ID}\n$`))]);
    expect(stderr).toBe('queued: the registry keeps it for "oven", for 90 s at most\n');
    expect(await user.membrane(['receive', '--id', 'oven', '--count', '1'])).toEqual({
      code: 0,
      stdout: 'later\n',
      stderr: '',
    });
  });

  it('waits by --wait-for processed until somebody handles it', async () => {
    const user = await begin();
    await registerAt(user.registry.url, { id: 'oven' });
    const send = user.start(['send', 'oven', 'now', '--wait-for', 'processed', '--timeout', '50s']);
    const receiver = await startReceiver(user, 'oven', ['--replace', '--count', '1']);
    expect(await send.ended).toBe(0);
    expect(send.said.stderr).toBe('"oven" has handled it, by ipc\n');
    expect(await receiver.ended).toBe(0);
    expect(receiver.said.stdout).toBe('now\n');
  });

  it('exits by 6 where nobody has handled it in time', async () => {
    const user = await begin();
    await registerAt(user.registry.url, { id: 'oven' });
    const args = ['send', 'oven', 'now', '--wait-for', 'processed', '--timeout', '2s'];
    const { code, stdout, stderr } = await user.membrane([...args, '--debug']);
    expect([code, stdout]).toEqual([6, '']);
    expectWords(stderr);
    expect(stderr).toMatch(/^membrane: ipc \/run\/oven to "oven": forbidden: .*\n/);
    expect(stderr).toMatch(/\nmembrane: "oven" was not reached in time: the socket .*\n$/);
    expect(await user.membrane(['dead-letters', 'list', '--id', 'oven'])).toMatchObject({ stdout: '' });
  });

  it('says by --debug what was tried, each try once', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--type', 'order']);
    const tried = await user.membrane(['send', 'oven', 'x', '--debug', '--type', 'order']);
    expect(tried.stderr).toMatch(/^membrane: ipc \S+ to "oven": processed\n"oven" has handled it, by ipc\n$/);
    const kept = await user.membrane(['send', 'oven', 'x', '--debug']);
    expect(kept.code).toBe(0);
    const ways = kept.stderr
      .split('\n')
      .map((line) => /^membrane: ([a-z-]+) \S+ to "oven": (\w+)/.exec(line)?.slice(1));
    expect(ways.filter((way) => way !== undefined)).toEqual([
      ['ipc', 'no_handler'],
      ['network', 'no_handler'],
      ['shared-volume', 'queued'],
    ]);
    await interrupt(receiver);
  });

  it('exits by 4 where there is nobody, and says who can tell', async () => {
    const { membrane } = await begin();
    for (const flags of [[], ['--json'], ['--wait-for', 'queued']]) {
      expect(await membrane(['send', 'oven', 'hello', ...flags])).toEqual({
        code: 4,
        stdout: '',
        stderr:
          'membrane: no membrane "oven" is registered, or was lately; `membrane list` shows who is there\n',
      });
    }
  });

  it.each([
    { why: 'has no parent', args: ['@out', 'x', '--id', 'cook'], words: '"cook" has no parent' },
    { why: 'has no such child', args: ['@in:pan', 'x', '--id', 'cook'], words: '"cook" has no child "pan"' },
  ])('exits by 4 where the sender $why', async ({ args, words }) => {
    const { membrane } = await begin();
    expect(await membrane(['send', ...args])).toEqual({
      code: 4,
      stdout: '',
      stderr: `membrane: ${words}\n`,
    });
  });

  it('exits by 3 where no registry answers until the deadline', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['send', 'oven', 'x', '--timeout', '200ms']);
    expect([code, stdout]).toEqual([3, '']);
    expectWords(stderr);
    expect(stderr).toContain(`no registry answers at ${NOBODY} (ECONNREFUSED): start one by`);
  });

  it('exits by 1 where the handler fails, and says why once', async () => {
    const user = await begin();
    await startReceiver(user, 'oven', ['--exec', 'exit 3']);
    expect(await user.membrane(['send', 'oven', 'x'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'membrane: "oven" could not handle it: the command ended by exit code 3\n',
    });
    const { stderr } = await user.membrane(['send', 'oven', 'x', '--debug']);
    const tries = stderr.split('\n').filter((line) => line.includes('handler_failed'));
    expect(tries).toHaveLength(3);
  });
});

describe('what cannot be sent', () => {
  it.each([
    { why: 'a group', args: ['@in*', 'x'], words: 'target means several membranes: broadcast to it' },
    { why: 'a target that is none', args: ['@up', 'x'], words: /target must be an id, @out,.*; got "@up"/ },
    { why: 'an empty target', args: ['', 'x'], words: 'target must be an id' },
    { why: 'an empty --stream', args: ['oven', 'x', '--stream', ''], words: '--stream must not be empty' },
    {
      why: 'a long --type',
      args: ['oven', 'x', '--type', 't'.repeat(300)],
      words: '--type must be at most 128 characters',
    },
    {
      why: 'a --timeout that is none',
      args: ['oven', 'x', '--timeout', 'soon'],
      words: '--timeout must be a duration from 1ms to 7d, as "5s"; got "soon"',
    },
    {
      why: 'a --timeout that is too long',
      args: ['oven', 'x', '--timeout', '8d'],
      words: '--timeout must be',
    },
    {
      why: 'a --wait-for that is none',
      args: ['oven', 'x', '--wait-for', 'ever'],
      words: /wait-for.*"ever"/,
    },
    {
      why: 'a flag given twice',
      args: ['oven', 'x', '--type', 'a', '--type', 'b'],
      words: '--type must be given once',
    },
    { why: 'a flag that is none', args: ['oven', 'x', '--urgent'], words: 'urgent' },
    { why: 'no message', args: ['oven'], words: 'need at least 2' },
    {
      why: 'broken JSON',
      args: ['oven', '{"a', '--json-payload'],
      words: 'the message must be JSON: ',
    },
    {
      why: 'a file that is not there',
      args: ['oven', '@nowhere'],
      words: 'the file "nowhere" cannot be read (ENOENT); a text that begins with @ is written with @@',
    },
  ])('$why exits by 2, with a line that says so', async ({ args, words }) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['send', ...args]);
    expect([code, stdout]).toEqual([2, '']);
    expectWords(stderr);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    if (typeof words === 'string') expect(stderr).toContain(words);
    else expect(stderr).toMatch(words);
  });

  it('is what a file or standard input has that is no text', async () => {
    const user = await createUser(NOBODY);
    await writeFile(join(homeOf(user), 'picture'), Buffer.from([0xff, 0xd8, 0xff]));
    const file = await user.membrane(['send', 'oven', '@picture']);
    expect([file.code, file.stderr]).toEqual([2, 'membrane: picture must be text in UTF-8\n']);
    const { child, ended, said } = user.start(['send', 'oven', '-']);
    child.stdin?.end(Buffer.from([0xff]));
    expect(await ended).toBe(2);
    expect(said.stderr).toBe('membrane: standard input must be text in UTF-8\n');
    const json = user.start(['send', 'oven', '-', '--json-payload']);
    json.child.stdin?.end('{');
    expect(await json.ended).toBe(2);
    expect(json.said.stderr).toMatch(/^membrane: standard input must be JSON: .*\n$/);
  });

  it('is what is larger than a message may be', async () => {
    const user = await begin();
    await startReceiver(user, 'oven');
    await writeFile(join(homeOf(user), 'large'), 'x'.repeat(1_100_000));
    const { code, stdout, stderr } = await user.membrane(['send', 'oven', '@large']);
    expect([code, stdout]).toEqual([1, '']);
    expectWords(stderr);
    expect(stderr).toMatch(/1048576|1 MiB/);
  });
});

describe('request', () => {
  it('prints the reply', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--exec', 'tr a-z A-Z']);
    expect(await user.membrane(['request', 'oven', 'temperature'])).toEqual({
      code: 0,
      stdout: 'TEMPERATURE\n',
      stderr: '',
    });
    expect(await user.membrane(['request', 'oven', 'it', '--json'])).toMatchObject({ stdout: '"IT"\n' });
    expect(receiver.said).toEqual({ stdout: '', stderr: '' });
  });

  it('prints null where there is none', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven');
    expect(await user.membrane(['request', 'oven', 'x'])).toEqual({ code: 0, stdout: 'null\n', stderr: '' });
    await printed(receiver, 'x\n');
  });

  it('exits by 1 where the handler fails', async () => {
    const user = await begin();
    await startReceiver(user, 'oven', ['--exec', 'echo half; exit 4']);
    expect(await user.membrane(['request', 'oven', 'x'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'membrane: "oven" could not handle it: the command ended by exit code 4\n',
    });
  });

  it('exits by 6 where its receiver is away, and says what was tried', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    const { code, stdout, stderr } = await user.membrane(['request', 'oven', 'x', '--timeout', '300ms']);
    expect([code, stdout]).toEqual([6, '']);
    expect(stderr).toContain('membrane: "oven" was not reached in time: no membrane "oven" is registered');
  });

  it('exits by 4 at once where nobody has the name', async () => {
    const { membrane } = await begin();
    expect(await membrane(['request', 'oven', 'x', '--timeout', '60s'])).toEqual({
      code: 4,
      stdout: '',
      stderr:
        'membrane: no membrane "oven" is registered, or was lately; `membrane list` shows who is there\n',
    });
  });
});

describe('a target that is seen from its sender', () => {
  it.each([
    ['broadcast', '@in*'],
    ['broadcast', '@siblings'],
    ['broadcast', '@subtree'],
    ['send', '@out'],
    ['request', '@in:oven'],
  ])('%s %s exits by 2 where nobody said who that is', async (verb, target) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane([verb, target, 'hi']);
    expect([code, stdout]).toEqual([2, '']);
    expectWords(stderr);
    expect(stderr).toContain(`${target} is seen from its sender, so say who you are: by --id, `);
  });
});

describe('broadcast', () => {
  it('tells what became of it at each, and exits by 0 where all have it', async () => {
    const user = await begin();
    const receivers = [
      await startReceiver(user, 'oven', ['house']),
      await startReceiver(user, 'lamp', ['house']),
    ];
    const { code, stdout, stderr } = await user.membrane(['broadcast', '@in*', 'out', '--id', 'house']);
    expect([code, stderr]).toEqual([0, '']);
    const rows = stdout.split('\n').sort();
    expect(rows).toEqual(['', 'lamp\tdelivered\tipc\t', 'oven\tdelivered\tipc\t']);
    for (const { said } of receivers) expect(said.stdout).toBe('out\n');
  });

  it('exits by 6 where somebody is missed, and says how many', async () => {
    const user = await begin();
    await startReceiver(user, 'oven', ['house']);
    await registerAt(user.registry.url, { id: 'lamp', parent: 'house' });
    const flags = ['--wait-for', 'processed', '--timeout', '1s'];
    const { code, stdout, stderr } = await user.membrane(['broadcast', '@subtree:house', 'x', ...flags]);
    expect([code, stderr]).toEqual([6, 'membrane: 1 of 2 were not reached\n']);
    expect(stdout).toContain('oven\tdelivered\tipc\t\n');
    expect(stdout).toMatch(/^lamp\tunreachable\t-\t"lamp" was not reached in time: .*$/m);
  });

  it('prints by --json a report of each', async () => {
    const user = await begin();
    await startReceiver(user, 'oven', ['--exec', 'exit 1']);
    const { code, stdout } = await user.membrane(['broadcast', '@all:oven', 'x', '--json']);
    expect([code, JSON.parse(stdout)]).toEqual([
      6,
      {
        target: '@all:oven',
        members: [
          {
            id: 'oven',
            instance_id: 'default',
            result: 'failed',
            error: { code: 'handler_failed', detail: 'the command ended by exit code 1' },
          },
        ],
      },
    ]);
  });

  it('says that nobody is meant', async () => {
    const { membrane } = await begin();
    expect(await membrane(['broadcast', '@in*', 'x', '--id', 'cook'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no membrane is meant by @in*\n',
    });
    const json = await membrane(['broadcast', '@in*', 'x', '--id', 'cook', '--json']);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([0, { target: '@in*', members: [] }]);
    for (const target of ['@all:oven', '@subtree:oven']) {
      expect(await membrane(['broadcast', target, 'x'])).toMatchObject({ code: 4, stdout: '' });
    }
  });

  it('exits by 2 for wrong options', async () => {
    const user = await begin();
    await startReceiver(user, 'oven');
    const broadcast = await user.membrane(['broadcast', 'oven', 'x', '--type', '']);
    expect(broadcast).toMatchObject({ code: 2, stdout: '' });
    expectWords(broadcast.stderr);
    expect(broadcast.stderr).toContain('type must not be empty');
  });

  it('exits by 4 for a subtree of nobody, and by 0 for one with nobody in it', async () => {
    const { membrane, registry } = await begin();
    const none = await membrane(['broadcast', '@subtree:typo', 'x']);
    expect([none.code, none.stdout]).toEqual([4, '']);
    expectWords(none.stderr);
    expect(none.stderr).toContain('there is no membrane "typo"');
    await registerAt(registry.url, { id: 'house' });
    expect(await membrane(['broadcast', '@subtree:house', 'x'])).toMatchObject({
      code: 0,
      stderr: 'no membrane is meant by @subtree:house\n',
    });
  });

  it('keeps it for those who are away', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    const { code, stdout } = await user.membrane(['broadcast', 'oven', 'later']);
    expect([code, stdout]).toEqual([0, 'oven\tqueued\tmailbox\t\n']);
    await eventually('it is received', async () => {
      const { stdout: got } = await user.membrane(['receive', '--id', 'oven', '--count', '1']);
      return got === 'later\n';
    });
  });
});
