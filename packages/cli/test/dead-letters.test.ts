import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './support/eventually.js';
import { interrupt, startReceiver, type Correspondent } from './support/mailroom.js';
import { BIN, expectWords, NOBODY, useMembrane } from './support/membrane.js';
import { withoutSettings } from './support/processes.js';
import { hasTerminals } from './support/terminal.js';

const { begin, createUser } = useMembrane();

interface Letter {
  readonly place: string;
  readonly message_id: string;
  readonly code: string;
  readonly reason: string;
  readonly died_at_ms: number;
  readonly envelope: { readonly payload: unknown };
}

async function lettersOf({ membrane }: Correspondent): Promise<Letter[]> {
  const { stdout } = await membrane(['dead-letters', 'list', '--id', 'oven', '--json']);
  return JSON.parse(stdout) as Letter[];
}

/** A message that waits in the mailbox, and one in the inbox directory; both fail. */
async function beginWithDead(): Promise<Correspondent & { ids: string[] }> {
  const user = await begin();
  const picky = await startReceiver(user, 'oven', ['--type', 'order']);
  const onVolume = await user.membrane(['send', 'oven', 'on the volume', '--timeout', '10m']);
  expect(onVolume.stderr).toContain('queued: it lies in ');
  await interrupt(picky);
  const inMailbox = await user.membrane(['send', 'oven', 'in the mailbox', '--timeout', '10m']);
  expect(inMailbox.stderr).toContain('queued: the registry keeps it');
  const clumsy = await startReceiver(user, 'oven', ['--exec', 'exit 7']);
  await eventually('both are dead', async () => (await lettersOf(user)).length === 2, 30_000);
  await interrupt(clumsy);
  return { ...user, ids: [onVolume.stdout.trim(), inMailbox.stdout.trim()] };
}

describe('dead-letters', () => {
  it('lists those of the mailbox and of the shared volume, with the cause', async () => {
    const { ids, ...user } = await beginWithDead();
    const letters = await lettersOf(user);
    expect(
      letters.map((letter) => [letter.place, letter.message_id, letter.envelope.payload]).sort(),
    ).toEqual([
      ['mailbox', ids[1], 'in the mailbox'],
      ['shared-volume', ids[0], 'on the volume'],
    ]);
    for (const { code, reason, died_at_ms: diedAtMs } of letters) {
      expect([code, reason]).toEqual(['handler_failed', 'the command ended by exit code 7']);
      expect(Math.abs(Date.now() - diedAtMs)).toBeLessThan(60_000);
    }
    const { stdout } = await user.membrane(['dead-letters', 'list', '--id', 'oven']);
    const rows = stdout.trimEnd().split('\n');
    expect(rows).toHaveLength(2);
    expect(rows.map((row) => row.split('\t'))).toContainEqual([
      ids[1],
      expect.any(String),
      'mailbox',
      expect.stringMatching(/^\d+ s$/),
      'handler_failed: the command ended by exit code 7',
      'in the mailbox',
    ]);
    const one = await user.membrane(['dead-letters', 'list', '--id', 'oven', '--limit', '1']);
    expect(one.stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  it('are handled once more by requeue, all or those named', async () => {
    const { ids, ...user } = await beginWithDead();
    const [onVolume = ''] = ids;
    expect(await user.membrane(['dead-letters', 'requeue', '--id', 'oven', onVolume])).toEqual({
      code: 0,
      stdout: '',
      stderr: '1 put back\n',
    });
    expect((await lettersOf(user)).map((letter) => letter.message_id)).toEqual([ids[1]]);
    const all = await user.membrane(['dead-letters', 'requeue', '--id', 'oven', '--all', '--json']);
    expect([all.code, JSON.parse(all.stdout)]).toEqual([0, { success: true, changed: 1 }]);
    const { code, stdout } = await user.membrane(['receive', '--id', 'oven', '--count', '2']);
    expect([code, stdout.trimEnd().split('\n').sort()]).toEqual([0, ['in the mailbox', 'on the volume']]);
    expect(await lettersOf(user)).toEqual([]);
  });

  it('are thrown away by discard', async () => {
    const { ids, ...user } = await beginWithDead();
    expect(await user.membrane(['dead-letters', 'discard', '--id', 'oven', ...ids])).toEqual({
      code: 0,
      stdout: '',
      stderr: '2 discarded\n',
    });
    expect(await user.membrane(['dead-letters', 'list', '--id', 'oven'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no dead letters\n',
    });
    expect(
      await readdir(join(user.environment['MEMBRANE_SHARED_ROOT'] ?? '', 'inbox', 'oven', 'dead')),
    ).toEqual([]);
  });

  it('of a name that nobody has are none, and asking makes no inbox', async () => {
    const user = await begin();
    const { code, stderr } = await user.membrane(['dead-letters', 'list', '--id', 'typo']);
    expect([code, stderr]).toEqual([0, 'no dead letters\n']);
    const inboxes = join(user.environment['MEMBRANE_SHARED_ROOT'] ?? '', 'inbox');
    expect(await readdir(inboxes).catch(() => [])).toEqual([]);
  });

  it('of a replica are named by --instance', async () => {
    const user = await begin();
    const replica = ['--id', 'oven', '--instance', 'left'];
    const inbox = join(user.environment['MEMBRANE_SHARED_ROOT'] ?? '', 'inbox', 'oven@left');
    await mkdir(join(inbox, 'dead'), { recursive: true });
    const text = JSON.stringify({ id: 'm1', sender: 'cook', payload: 'bread' });
    await writeFile(join(inbox, 'dead', 'm1.json'), text);
    const list = (args: string[]): ReturnType<typeof user.membrane> =>
      user.membrane(['dead-letters', 'list', ...args]);
    expect((await list(['--id', 'oven'])).stderr).toBe('no dead letters\n');
    expect((await list(replica)).stdout).toContain('bread');
    const { code, stderr } = await user.membrane(['dead-letters', 'discard', 'm1', ...replica]);
    expect([code, stderr]).toEqual([0, '1 discarded\n']);
    expect(await readdir(join(inbox, 'dead'))).toEqual([]);
    expect(await user.membrane(['dead-letters', 'list', '--id', 'oven', '--instance', 'a b'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^membrane: --instance must be/) as string,
    });
  });

  it('are those whose time was over too', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    await user.membrane(['send', 'oven', 'soon', '--timeout', '3s']);
    const [letter] = await eventually(
      'it is dead',
      async () => {
        const letters = await lettersOf(user);
        return letters.length > 0 && letters;
      },
      30_000,
    );
    expect(letter).toMatchObject({ place: 'mailbox', code: 'expired', envelope: { payload: 'soon' } });
  });

  it('exits by 4 where some of those named are none', async () => {
    const { membrane } = await begin();
    const { code, stdout, stderr } = await membrane(['dead-letters', 'discard', '--id', 'oven', 'a', 'b']);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toBe('0 discarded\nmembrane: 2 of them are no dead letters of "oven"\n');
    const one = await membrane(['dead-letters', 'discard', '--id', 'oven', 'a']);
    expect(one.stderr).toBe('0 discarded\nmembrane: "a" is no dead letter of "oven"\n');
  });

  it.each([
    { args: [], words: 'which action: list, requeue or discard\\?' },
    { args: ['burn'], words: 'burn|which action' },
    { args: ['list'], words: 'which membrane\\? name it by --id' },
    {
      args: ['list', '--id', 'oven', '--limit', '0'],
      words: '--limit must be a whole number from 1 to 1000',
    },
    { args: ['list', '--id', 'oven', '--limit', 'all'], words: '--limit must be a whole number' },
    { args: ['list', '--id', 'o n'], words: '--id must be' },
    { args: ['requeue', '--id', 'oven'], words: 'which messages\\? name their ids, or give --all' },
    {
      args: ['discard', '--id', 'oven', '--all', 'a'],
      words: 'which messages\\? name their ids, or give --all',
    },
  ])('$args exits by 2, with a line that says why', async ({ args, words }) => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['dead-letters', ...args]);
    expect([code, stdout]).toEqual([2, '']);
    expectWords(stderr);
    expect(stderr).toMatch(new RegExp(`^membrane: .*(${words}).*\n$`));
  });

  it('exits by 3 where no registry answers', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['dead-letters', 'list', '--id', 'oven']);
    expect([code, stdout]).toEqual([3, '']);
    expectWords(stderr);
  });
});

(hasTerminals('dead letters on a terminal') ? describe : describe.skip)('on a terminal', () => {
  it('fits in it, and no payload can move the cursor', async () => {
    const user = await begin();
    await interrupt(await startReceiver(user, 'oven'));
    const { child, ended } = user.start(['send', 'oven', '-', '--timeout', '3s']);
    child.stdin?.end('\u001b[2J\u009b2J\r\nsecond line');
    expect(await ended).toBe(0);
    await eventually('it is dead', async () => (await lettersOf(user)).length > 0, 30_000);
    const command = `stty cols 80; ${process.execPath} ${BIN} dead-letters list --id oven`;
    const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: { ...withoutSettings(process.env), ...user.environment, TERM: 'xterm', NO_COLOR: '1' },
    });
    const lines = stdout.trimEnd().split('\r\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^MESSAGE +SENDER +PLACE +AGE +WHY +PAYLOAD$/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    // eslint-disable-next-line no-control-regex -- what must not be there
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});
