import { readFile, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { interrupt, printed, startReceiver } from './support/mailroom.js';
import { BIN, expectWords, NOBODY, useMembrane, type User } from './support/membrane.js';
import { withoutSettings, type Process } from './support/processes.js';
import { eventsOf, idsAt, membraneAt, registerAt } from './support/registry-view.js';
import { hasTerminals } from './support/terminal.js';

const { begin, createUser, start, startRegistry } = useMembrane();

/** It has 2 s to leave; a busy machine gets more. */
const LEAVING_MS = 5_000;

/** The registry hides what somebody has taken out for 30 s. */
const FAR_BELOW_HIDING_MS = 15_000;

/** A file that a command of `--exec` writes to. */
function scratchOf({ environment }: User): string {
  return join(environment['HOME'] ?? '', 'scratch');
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}

/** Puts a message into a mailbox. */
async function postTo(url: string, id: string, payload: string): Promise<void> {
  const response = await fetch(`${url}/messages/${id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sender: 'cook', payload }),
  });
  expect(response.status).toBe(202);
}

/** Whether there is such a process, by the options of pgrep; one that nobody has waited for yet is none. */
function isAnyAlive(options: readonly string[]): boolean {
  return spawnSync('pgrep', ['-r', 'R,S,D', ...options]).status === 0;
}

async function expectQuickEnd({ ended }: Process, code: number): Promise<void> {
  const startMs = performance.now();
  expect(await ended).toBe(code);
  expect(performance.now() - startMs).toBeLessThan(LEAVING_MS);
}

describe('receive', () => {
  it('registers, prints a line a message, and leaves', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['house']);
    await user.membrane(['send', 'oven', 'preheat']);
    await user.membrane(['send', 'oven', '{"degrees": 200}', '--json-payload']);
    expect(await interrupt(receiver)).toBe(0);
    expect(receiver.said).toEqual({ stdout: 'preheat\n{"degrees":200}\n', stderr: '' });
    expect(await eventsOf(user.registry.url, 'oven')).toEqual(['registered', 'deregistered']);
  });

  it('offers by --relay to pass messages on', async () => {
    const user = await begin();
    await startReceiver(user, 'hall', ['--relay']);
    await startReceiver(user, 'oven');
    expect(await membraneAt(user.registry.url, 'hall')).toMatchObject({ relay: true });
    expect(await membraneAt(user.registry.url, 'oven')).toMatchObject({ relay: false });
  });

  it('prints by --json what there is to know of each', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--json', '--count', '1']);
    const { stdout } = await user.membrane(['send', 'oven', 'preheat', '--id', 'cook', '--type', 'order']);
    expect(await receiver.ended).toBe(0);
    expect(JSON.parse(receiver.said.stdout)).toMatchObject({
      id: stdout.trim(),
      sender: 'cook',
      type: 'order',
      payload: 'preheat',
      attempt: 1,
    });
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'leaves soon by %s, with nobody left behind',
    async (signal) => {
      const user = await begin();
      const receiver = await startReceiver(user, 'oven');
      receiver.child.kill(signal);
      await expectQuickEnd(receiver, 0);
      expect(await idsAt(user.registry.url)).toEqual([]);
    },
  );

  it('leaves after --count, and what is more waits for the next', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    for (const text of ['one', 'two', 'three'])
      await user.membrane(['send', 'oven', text, '--timeout', '5m']);
    const args = ['receive', '--id', 'oven', '--count'];
    expect(await user.membrane([...args, '2'])).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: '' });
    const startMs = performance.now();
    expect(await user.membrane([...args, '1'])).toEqual({ code: 0, stdout: 'three\n', stderr: '' });
    // The registry hides for 30 s what somebody has taken out.
    expect(performance.now() - startMs).toBeLessThan(25_000);
  });

  it('gives back at once what it took from the mailbox and has not handled', async () => {
    const user = await begin();
    await user.membrane(['register', '--id', 'oven']);
    for (const payload of ['one', 'two', 'three']) await postTo(user.registry.url, 'oven', payload);
    const scratch = scratchOf(user);
    const slow = ['--exec', `cat >> ${scratch}; echo >> ${scratch}; sleep 60`];
    for (const names of [[], [], ['--instance', 'left'], ['--instance', 'right']]) {
      const receiver = user.start(['receive', '--id', 'oven', '--replace', ...names, ...slow]);
      await eventually('it handles the first', async () => (await linesOf(scratch)).includes('one'));
      await writeFile(scratch, '');
      expect(await interrupt(receiver)).toBe(0);
      expect(receiver.said).toEqual({ stdout: '', stderr: '' });
    }
    const startMs = performance.now();
    const { stdout } = await user.membrane(['receive', '--id', 'oven', '--replace', '--count', '3']);
    expect(stdout).toBe('one\ntwo\nthree\n');
    expect(performance.now() - startMs).toBeLessThan(FAR_BELOW_HIDING_MS);
  });

  it('exits by 1 where it is ended before so many came', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--count', '2']);
    await user.membrane(['send', 'oven', 'one']);
    expect(await interrupt(receiver)).toBe(1);
    expect(receiver.said).toEqual({ stdout: 'one\n', stderr: '' });
  });

  it('takes what fits --type and --stream, and leaves the rest', async () => {
    const user = await begin();
    const flags = ['--type', 'order', '--stream', 'kitchen'];
    const receiver = await startReceiver(user, 'oven', flags);
    await user.membrane(['send', 'oven', 'other', '--type', 'order', '--timeout', '5m']);
    await user.membrane(['send', 'oven', 'ordered', ...flags]);
    expect(await interrupt(receiver)).toBe(0);
    expect(receiver.said.stdout).toBe('ordered\n');
    const rest = await user.membrane(['receive', '--id', 'oven', '--count', '1']);
    expect(rest.stdout).toBe('other\n');
  });

  it('keeps a stream in its order', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    const numbers = ['1', '2', '3', '4'];
    for (const number of numbers) {
      await user.membrane(['send', 'oven', number, '--stream', 's', '--timeout', '5m']);
    }
    const { stdout } = await user.membrane(['receive', '--id', 'oven', '--count', '4']);
    expect(stdout).toBe('1\n2\n3\n4\n');
  });

  it('collects what waits in the mailbox and on the shared volume', async () => {
    const user = await begin();
    const picky = await startReceiver(user, 'oven', ['--type', 'order']);
    const onVolume = await user.membrane(['send', 'oven', 'on the volume', '--timeout', '5m']);
    expect(onVolume.stderr).toMatch(/^queued: it lies in \S+ for "oven", for 300 s at most\n$/);
    await interrupt(picky);
    await user.membrane(['send', 'oven', 'in the mailbox', '--timeout', '5m']);
    const { code, stdout } = await user.membrane(['receive', '--id', 'oven', '--count', '2']);
    expect([code, stdout.trimEnd().split('\n').sort()]).toEqual([0, ['in the mailbox', 'on the volume']]);
  });

  it('ends when the reader of its pipe goes, and the message is not lost', async () => {
    const user = await begin();
    const command = `"${process.execPath}" "${BIN}" receive --id oven; echo "exit $?" >&2`;
    const pipe = start('sh', ['-c', `{ ${command}; } | head -n 1`], { environment: user.environment });
    await eventually('it is registered', async () => (await idsAt(user.registry.url)).includes('oven'));
    await user.membrane(['send', 'oven', 'one']);
    await printed(pipe, 'one\n');
    await eventually('head is gone', () => !isAnyAlive(['-g', String(pipe.child.pid), 'head']));
    const { code, stderr } = await user.membrane(['send', 'oven', 'two', '--timeout', '5m']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^queued: /)]);
    expect(await pipe.ended).toBe(0);
    expect(pipe.said).toEqual({ stdout: 'one\n', stderr: 'exit 0\n' });
    const rest = await user.membrane(['receive', '--id', 'oven', '--count', '1']);
    expect(rest).toEqual({ code: 0, stdout: 'two\n', stderr: '' });
  });
});

describe('receive --exec', () => {
  it('gives a command the payload, and what is known of the message', async () => {
    const user = await begin();
    const command =
      'cat; echo " $MEMBRANE_MESSAGE_ID $MEMBRANE_MESSAGE_SENDER $MEMBRANE_MESSAGE_TYPE/$MEMBRANE_MESSAGE_STREAM"';
    const receiver = await startReceiver(user, 'oven', ['--exec', command]);
    const flags = ['--id', 'cook', '--type', 'order', '--stream', 'kitchen'];
    const asked = await user.membrane(['request', 'oven', '[1, "a"]', '--json-payload', ...flags]);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(asked.stdout).toMatch(/^\[1,"a"\] [0-9a-f-]{36} cook order\/kitchen\n$/);
    const text = await user.membrane(['request', 'oven', 'as it is', '--id', 'cook']);
    expect(text.stdout).toMatch(/^as it is [0-9a-f-]{36} cook \/\n$/);
    expect(await interrupt(receiver)).toBe(0);
    expect(receiver.said).toEqual({ stdout: '', stderr: '' });
  });

  it('runs one after the other, each to its end', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    for (const text of ['a', 'b', 'c']) await user.membrane(['send', 'oven', text, '--timeout', '5m']);
    const scratch = scratchOf(user);
    const command = `read -r x; echo "+$x" >> ${scratch}; sleep 0.2; echo "-$x" >> ${scratch}`;
    const receiver = await startReceiver(user, 'oven', ['--exec', command, '--count', '3']);
    expect(await receiver.ended).toBe(0);
    expect(await linesOf(scratch)).toEqual(['+a', '-a', '+b', '-b', '+c', '-c']);
  });

  it('tries again where the command fails, says so, and gives up then', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    const { stdout } = await user.membrane(['send', 'oven', 'eggs', '--id', 'cook', '--timeout', '5m']);
    const scratch = scratchOf(user);
    const receiver = await startReceiver(user, 'oven', ['--exec', `echo x >> ${scratch}; exit 5`]);
    const list = ['dead-letters', 'list', '--id', 'oven', '--json'];
    const [letter] = await eventually('it is dead', async () => {
      const letters = JSON.parse((await user.membrane(list)).stdout) as object[];
      return letters.length > 0 && letters;
    });
    expect(letter).toMatchObject({ message_id: stdout.trim(), code: 'handler_failed' });
    expect(await interrupt(receiver)).toBe(0);
    expect(await linesOf(scratch)).toHaveLength(3);
    const words = `membrane: message ${stdout.trim()} of "cook" failed: the command ended by exit code 5`;
    expect(receiver.said).toEqual({ stdout: '', stderr: `${words}\n`.repeat(3) });
  });

  it('is a success where a later try is', async () => {
    const user = await begin();
    const scratch = scratchOf(user);
    const command = `echo x >> ${scratch}; test $(wc -l < ${scratch}) = 2 && echo done`;
    await startReceiver(user, 'oven', ['--exec', command]);
    expect(await user.membrane(['request', 'oven', 'x'])).toEqual({ code: 0, stdout: 'done\n', stderr: '' });
  });

  it('takes what it says on standard error for words, and need not be read from', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven', ['--exec', 'exec <&-; echo words >&2; echo reply']);
    await writeFile(join(user.environment['HOME'] ?? '', 'large'), 'x'.repeat(300_000));
    const asked = await user.membrane(['request', 'oven', '@large']);
    expect(asked).toEqual({ code: 0, stdout: 'reply\n', stderr: '' });
    expect(receiver.said).toEqual({ stdout: '', stderr: 'words\n' });
  });

  it.each([
    { what: 'a command', command: 'sleep 60' },
    { what: 'a command that hears no SIGTERM', command: 'trap "" TERM; while :; do sleep 0.1; done' },
  ])('ends $what when it leaves, and the message is not lost', async ({ command }) => {
    const user = await begin();
    const scratch = scratchOf(user);
    const receiver = await startReceiver(user, 'oven', ['--exec', `echo $$ >> ${scratch}; ${command}`]);
    const send = user.start(['send', 'oven', 'slow', '--timeout', '5m']);
    const [pid] = await eventually('it runs', async () => {
      const lines = await linesOf(scratch);
      return lines.length > 0 && lines;
    });
    receiver.child.kill('SIGTERM');
    await expectQuickEnd(receiver, 0);
    await eventually('all of it is gone', () => !isAnyAlive(['-g', String(pid)]));
    expect(receiver.said).toEqual({ stdout: '', stderr: '' });
    expect(await send.ended).toBe(0);
    expect(send.said.stderr).toMatch(/^queued: /);
    expect(await user.membrane(['receive', '--id', 'oven', '--count', '1'])).toEqual({
      code: 0,
      stdout: 'slow\n',
      stderr: '',
    });
  });
});

describe('a name', () => {
  it('that another process holds is taken by --replace alone, which the other one is told', async () => {
    const user = await begin();
    const first = await startReceiver(user, 'oven');
    const refused = await user.membrane(['receive', '--id', 'oven']);
    expect([refused.code, refused.stdout]).toEqual([5, '']);
    expect(refused.stderr).toMatch(
      /^membrane: "oven" is registered already, at \S+, heard of \d+ s ago; --replace takes the name from it\n$/,
    );
    const second = user.start(['receive', '--id', 'oven', '--replace']);
    expect(await first.ended).toBe(5);
    expect(first.said).toEqual({ stdout: '', stderr: 'membrane: "oven" is held by a newer registration\n' });
    expect(await user.membrane(['send', 'oven', 'for the second'])).toMatchObject({ code: 0 });
    await printed(second, 'for the second\n');
    expect(await interrupt(second)).toBe(0);
  });

  it('that is removed ends it too', async () => {
    const user = await begin();
    const receiver = await startReceiver(user, 'oven');
    expect(await user.membrane(['deregister', 'oven', '--force'])).toMatchObject({ code: 0 });
    expect(await receiver.ended).toBe(5);
    expectWords(receiver.said.stderr);
    expect(receiver.said.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('of one instance is no name of another', async () => {
    const user = await begin();
    await startReceiver(user, 'oven');
    const left = user.start(['receive', '--id', 'oven', '--instance', 'left', '--count', '1']);
    await eventually('both have it', async () => {
      const { stdout } = await user.membrane(['broadcast', '@all:oven', 'all']);
      return stdout.split('\n').filter((line) => line.includes('delivered')).length === 2;
    });
    expect(await left.ended).toBe(0);
    expect(left.said.stdout).toBe('all\n');
  });
});

describe('the registry', () => {
  it('that is away makes it exit by 3', async () => {
    const { membrane } = await createUser(NOBODY);
    for (const flags of [[], ['--replace']]) {
      const { code, stdout, stderr } = await membrane(['receive', '--id', 'oven', ...flags]);
      expect([code, stdout]).toEqual([3, '']);
      expectWords(stderr);
      expect(stderr).toContain(`no registry answers at ${NOBODY} (ECONNREFUSED): start one by`);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
  });

  it('that restarts is told of it again, and messages go on', async () => {
    const { registry, ...user } = await begin();
    const receiver = await startReceiver({ ...user, registry }, 'oven');
    await registry.kill();
    await startRegistry({ port: registry.port });
    await eventually('it is there again', async () => (await idsAt(registry.url)).includes('oven'), 40_000);
    expect(await user.membrane(['send', 'oven', 'again'])).toMatchObject({ code: 0 });
    await printed(receiver, 'again\n');
    expect(await interrupt(receiver)).toBe(0);
    expectWords(receiver.said.stderr);
  });

  it('that is killed does not keep it from leaving soon', async () => {
    const { registry, ...user } = await begin();
    const receiver = await startReceiver({ ...user, registry }, 'oven');
    await registry.kill();
    receiver.child.kill('SIGTERM');
    expect(await receiver.ended).toBe(0);
  });

  it('that refuses the place makes it exit by 5', async () => {
    const user = await begin();
    await registerAt(user.registry.url, { id: 'house', parent: 'oven' });
    const { code, stdout, stderr } = await user.membrane(['receive', 'house', '--id', 'oven']);
    expect([code, stdout]).toEqual([5, '']);
    expectWords(stderr);
  });
});

it.each([
  { args: [], words: 'which membrane\\? name it by --id, by MEMBRANE_ID, or as membraneId' },
  { args: ['--id', 'o n'], words: '--id must be .*; got "o n"' },
  { args: ['--id', 'oven', '--instance', 'a b'], words: '--instance must be .*; got "a b"' },
  { args: ['--id', 'oven', '--count', '0'], words: '--count must be a whole number above 0' },
  { args: ['--id', 'oven', '--count', '1.5'], words: '--count must be a whole number above 0' },
  { args: ['--id', 'oven', '--count', 'many'], words: '--count must be a whole number above 0' },
  { args: ['--id', 'oven', '--type', ''], words: '--type must not be empty' },
  { args: ['--id', 'oven', '--stream', ''], words: '--stream must not be empty' },
  { args: ['--id', 'oven', '--exec', ''], words: '--exec must not be empty' },
  { args: ['--id', 'oven', '--exec'], words: 'exec' },
  { args: ['--id', 'oven', 'a', 'b'], words: 'b' },
])('receive $args exits by 2, with a line that says why', async ({ args, words }) => {
  const { membrane } = await createUser(NOBODY);
  const { code, stdout, stderr } = await membrane(['receive', ...args]);
  expect([code, stdout]).toEqual([2, '']);
  expectWords(stderr);
  expect(stderr).toMatch(new RegExp(`^membrane: .*${words}.*\n$`));
});

(hasTerminals('receive on a terminal') ? describe : describe.skip)('on a terminal', () => {
  it('tells who sent what, and no payload can move the cursor', async () => {
    const user = await begin();
    const command = `${process.execPath} ${BIN} receive --id oven --count 1`;
    const terminal = start('script', ['-qec', command, '/dev/null'], {
      environment: { ...withoutSettings(process.env), ...user.environment, TERM: 'xterm' },
    });
    await printed(terminal, '"oven" receives, until a message came\r\n');
    const { child, ended } = user.start(['send', 'oven', '-', '--id', 'cook']);
    child.stdin?.end('red \u001b[31m\u001b[2J\u009b2J\nline');
    expect(await ended).toBe(0);
    expect(await terminal.ended).toBe(0);
    expect(terminal.said.stdout).toBe(
      '"oven" receives, until a message came\r\ncook: red \ufffd[31m\ufffd[2J\ufffd2J\ufffdline\r\n',
    );
  });

  it('shows a reply that cannot move the cursor', async () => {
    const user = await begin();
    await startReceiver(user, 'oven', ['--exec', "printf 'a\\033[2Jb\\n\\n'"]);
    const command = `${process.execPath} ${BIN} request oven x`;
    const terminal = start('script', ['-qec', command, '/dev/null'], {
      environment: { ...withoutSettings(process.env), ...user.environment, TERM: 'xterm' },
    });
    expect(await terminal.ended).toBe(0);
    expect(terminal.said.stdout).toBe('a\ufffd[2Jb\ufffd\r\n');
  });
});
