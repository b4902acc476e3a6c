import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MembraneError } from '@membrane/protocol';
import { Outbox, type OutboxOptions } from '../../src/messaging/outbox.js';
import { OutboxDeadLetters } from '../../src/messaging/outbox-dead-letters.js';
import type { OutboxEntry } from '../../src/messaging/outbox-entry.js';
import { SEQUENCE_BLOCK } from '../../src/messaging/sequence-ledger.js';
import { eventually } from '../support/eventually.js';
import { useProcesses } from '../support/processes.js';
import { withSmallDisk } from '../support/small-disk.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const SENDER = fileURLToPath(new URL('../fixtures/outbox-sender.mjs', import.meta.url));
const FAILED = new MembraneError('not_delivered', 'no route led there');

const outboxes: Outbox[] = [];
afterEach(async () => {
  await Promise.all(outboxes.splice(0).map((outbox) => outbox.close()));
});

const makeDirectory = useTemporaryDirectories();
const { start } = useProcesses();

async function openOutbox(directory: string, limits: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const outbox = await Outbox.open({ directory, ...limits });
  outboxes.push(outbox);
  return outbox;
}

function entryOf(id: string, { payload = id, leftMs = 60_000 } = {}): OutboxEntry {
  const envelope = { id, sender: 'baker', target: 'oven', payload: payload };
  return { envelope, deadlineAtMs: Date.now() + leftMs, options: { waitFor: 'processed' } };
}

async function leftIn(outbox: Outbox): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = [];
  for await (const entry of outbox.load()) entries.push(entry);
  return entries;
}

async function idsLeftIn(outbox: Outbox): Promise<string[]> {
  return (await leftIn(outbox)).map(({ envelope }) => envelope.id);
}

async function lettersOf(outbox: Outbox) {
  const letters = await new OutboxDeadLetters(outbox, () => undefined).list({ limit: 1_000 });
  return letters.map(({ messageId, code, reason }) => ({ messageId, code, reason }));
}

describe('what an outbox keeps', () => {
  it('is there after a restart, in the order of sending, and each known to be tried before', async () => {
    const directory = await makeDirectory();
    const first = await openOutbox(directory);
    const entries = Array.from({ length: 50 }, (_, index) => entryOf(`message-${50 - index}`));
    await Promise.all(entries.map((entry) => first.put(entry)));
    expect(await leftIn(first)).toEqual([]);
    await first.close();
    const second = await openOutbox(directory);
    expect(second.size).toBe(50);
    expect(await leftIn(second)).toEqual(
      entries.map((entry) => ({ ...entry, envelope: { ...entry.envelope, attempt: 2 } })),
    );
  });

  it('ends with what is settled, also while it is still being written', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    await Promise.all(['a', 'b', 'c'].map((id) => outbox.put(entryOf(id))));
    const put = outbox.put(entryOf('d'));
    await Promise.all([outbox.settle('b'), outbox.settle('d'), outbox.settle('unknown'), put]);
    expect(outbox.size).toBe(2);
    await outbox.close();
    expect(await idsLeftIn(await openOutbox(directory))).toEqual(['a', 'c']);
    expect(await readdir(join(directory, 'tmp'))).toEqual([]);
  });

  it('has an id once', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    await Promise.all([outbox.put(entryOf('a')), outbox.put(entryOf('a'))]);
    expect(await readdir(join(directory, 'new'))).toHaveLength(1);
  });

  it('is bounded in messages and in bytes, and says so', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory, { maxMessages: 2, maxBytes: 2_000 });
    await outbox.put(entryOf('a'));
    await expect(outbox.put(entryOf('b', { payload: 'x'.repeat(2_000) }))).rejects.toMatchObject({
      code: 'mailbox_full',
      message: expect.stringContaining(`the outbox ${directory} is full`) as unknown,
    });
    await outbox.put(entryOf('c'));
    await expect(outbox.put(entryOf('d'))).rejects.toMatchObject({ code: 'mailbox_full' });
    await outbox.settle('a');
    await outbox.put(entryOf('d'));
    await outbox.close();
    const again = await openOutbox(directory, { maxMessages: 2 });
    await expect(again.put(entryOf('e'))).rejects.toMatchObject({ code: 'mailbox_full' });
    expect(await idsLeftIn(again)).toEqual(['c', 'd']);
  });

  it('becomes a dead letter where its time was over before the restart', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    await outbox.put(entryOf('late', { leftMs: -1 }));
    await outbox.put(entryOf('early'));
    await outbox.close();
    const again = await openOutbox(directory);
    expect(await idsLeftIn(again)).toEqual(['early']);
    expect(await lettersOf(again)).toMatchObject([{ messageId: 'late', code: 'expired' }]);
    expect(again.size).toBe(1);
  });

  it('becomes a dead letter where its file is broken, and the rest is there', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    for (const id of ['cut', 'other', 'envelope', 'whole']) await outbox.put(entryOf(id));
    await outbox.close();
    const files = (await readdir(join(directory, 'new'))).map((name) => join(directory, 'new', name));
    const pathOf = (id: string) => files.find((path) => path.endsWith(`-${id}.json`))!;
    await truncate(pathOf('cut'), 20);
    await writeFile(pathOf('other'), await readFile(pathOf('whole')));
    await writeFile(pathOf('envelope'), '{"deadline_at_ms":1e15,"envelope":{"id":"envelope"}}');
    await writeFile(join(directory, 'new', 'notes.txt'), 'not mine');
    await writeFile(join(directory, 'tmp', 'half'), '{');
    const again = await openOutbox(directory);
    expect(await idsLeftIn(again)).toEqual(['whole']);
    expect(await lettersOf(again)).toMatchObject([
      { messageId: 'notes.txt', code: 'invalid_request', reason: 'no file of an outbox' },
      { messageId: 'cut', code: 'invalid_request' },
      { messageId: 'other', reason: 'the file is broken: it has the id of another one' },
      { messageId: 'envelope', code: 'invalid_request' },
    ]);
    expect(await readdir(join(directory, 'tmp'))).toEqual([]);
  });

  it('is not kept where the disk is full, which is said, and is kept again when there is room', async () => {
    await withSmallDisk(async (disk) => {
      const directory = join(disk, 'outbox');
      const outbox = await openOutbox(directory);
      await outbox.put(entryOf('a'));
      await writeFile(join(disk, 'filler'), Buffer.alloc(4 * 1024 * 1024)).catch(() => undefined);
      await expect(outbox.put(entryOf('b', { payload: 'x'.repeat(9_000) }))).rejects.toMatchObject({
        code: 'store_unavailable',
      });
      expect(outbox.size).toBe(1);
      await rm(join(disk, 'filler'));
      await outbox.put(entryOf('c'));
      await outbox.close();
      const again = await openOutbox(directory);
      expect(await idsLeftIn(again)).toEqual(['a', 'c']);
      await again.close();
    });
  });
});

describe('a dead letter of an outbox', () => {
  it('is kept with its cause, and can be sent again or discarded', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    for (const id of ['a', 'b', 'c']) await outbox.put(entryOf(id));
    for (const id of ['c', 'a', 'b', 'unknown']) await outbox.bury(id, FAILED);
    expect(outbox.size).toBe(0);
    await outbox.close();
    const again = await openOutbox(directory);
    const sent: OutboxEntry[] = [];
    const letters = new OutboxDeadLetters(again, (entry) => sent.push(entry));
    const listed = await letters.list({ limit: 2 });
    expect(listed).toMatchObject([
      { place: 'outbox', messageId: 'a', code: 'not_delivered', reason: FAILED.message },
      { messageId: 'b', envelope: { payload: 'b' } },
    ]);
    expect(Math.abs(listed[0]!.diedAtMs - Date.now())).toBeLessThan(600_000);
    expect(await letters.requeue({ messageIds: ['b', 'unknown'] })).toBe(1);
    expect(sent).toMatchObject([{ envelope: { id: 'b', attempt: 2 }, options: { waitFor: 'processed' } }]);
    expect(sent[0]!.deadlineAtMs - Date.now()).toBeGreaterThan(3_000_000);
    expect(await letters.discard({ messageIds: ['a'] })).toBe(1);
    expect(await letters.discard()).toBe(1);
    expect(await letters.list({ limit: 10 })).toEqual([]);
    expect(await readdir(join(directory, 'dead'))).toEqual([]);
    await again.close();
    expect(await idsLeftIn(await openOutbox(directory))).toEqual(['b']);
  });

  it('goes without its place among the others, which has passed', async () => {
    const outbox = await openOutbox(await makeDirectory());
    const { envelope, ...rest } = entryOf('a');
    const place = { session: outbox.session, sequence: outbox.nextSequence('oven', 'bread'), floor: 1 };
    await outbox.put({ ...rest, envelope: { ...envelope, ...place, stream: 'bread' } });
    await outbox.bury('a', FAILED);
    const sent: OutboxEntry[] = [];
    expect(await new OutboxDeadLetters(outbox, (entry) => sent.push(entry)).requeue()).toBe(1);
    expect(sent.map((entry) => entry.envelope)).toEqual([{ ...envelope, stream: 'bread', attempt: 2 }]);
  });

  it('makes room for newer ones', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory, { maxDeadLetters: 2 });
    for (const id of ['a', 'b', 'c']) {
      await outbox.put(entryOf(id));
      await outbox.bury(id, FAILED);
    }
    expect((await lettersOf(outbox)).map(({ messageId }) => messageId)).toEqual(['b', 'c']);
    expect(await readdir(join(directory, 'dead'))).toHaveLength(4);
  });
});

describe('the sequences of an outbox', () => {
  it('go on where they were after it was closed, each stream by itself', async () => {
    const directory = await makeDirectory();
    const first = await openOutbox(directory);
    const given = [
      first.nextSequence('oven'),
      first.nextSequence('oven'),
      first.nextSequence('oven', 'bread'),
    ];
    expect(given).toEqual([1, 2, 1]);
    await first.close();
    const second = await openOutbox(directory);
    expect(second.session).toBe(first.session);
    expect(second.nextSequence('oven')).toBe(3);
    expect(second.nextSequence('oven', 'bread')).toBe(3);
    expect(() => first.nextSequence('oven')).toThrow('this outbox was closed');
  });

  it('are never given twice, though the process was killed', async () => {
    const directory = await makeDirectory();
    const sender = start(process.execPath, [SENDER, directory, '3']);
    await eventually('three are durable', () => sender.said.stdout.includes('put 3'));
    sender.child.kill('SIGKILL');
    await sender.ended;
    const outbox = await openOutbox(directory);
    expect(sender.said.stdout).toContain(`open ${outbox.session}\n`);
    expect(outbox.nextSequence('oven', 'bread')).toBe(SEQUENCE_BLOCK + 1);
    expect(outbox.nextSequence('oven', 'bread')).toBe(SEQUENCE_BLOCK + 2);
  });

  it('are known to lie somewhere by the next run, though the process was killed', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    expect(outbox.earlier).toEqual({ highest: 0, untilMs: 0 });
    outbox.nextSequence('oven', 'bread');
    await outbox.put(entryOf('a'));
    const untilMs = Date.now() + 60_000;
    await outbox.settleKept('a', untilMs);
    const left = await readFile(join(directory, 'session.json'), 'utf8');
    // One write serves those that follow.
    await outbox.settleKept('b', untilMs + 1_000);
    expect(await readFile(join(directory, 'session.json'), 'utf8')).toBe(left);
    await outbox.close();
    await writeFile(join(directory, 'session.json'), left);
    const { earlier } = await openOutbox(directory);
    expect(earlier.highest).toBe(SEQUENCE_BLOCK);
    expect(earlier.untilMs).toBeGreaterThan(untilMs);
  });

  it('begin with a new session where what was known of the last one is lost', async () => {
    const directory = await makeDirectory();
    const first = await openOutbox(directory);
    first.nextSequence('oven');
    await first.close();
    await writeFile(join(directory, 'session.json'), '{"session"');
    const second = await openOutbox(directory);
    expect(second.session).not.toBe(first.session);
    expect(second.nextSequence('oven')).toBe(1);
  });
});

describe('an outbox of processes', () => {
  it('has what was put when the sender was killed before it sent', async () => {
    const directory = await makeDirectory();
    const sender = start(process.execPath, [SENDER, directory, '1000000']);
    await eventually('some are durable', () => sender.said.stdout.includes('put 20\n'));
    sender.child.kill('SIGKILL');
    await sender.ended;
    const durable = sender.said.stdout.match(/^put \d+$/gm)!.length;
    const outbox = await openOutbox(directory);
    const left = await leftIn(outbox);
    // The last one may have become durable, and its sender could not say so any more.
    expect([durable, durable + 1]).toContain(left.length);
    expect(left.map(({ options }) => options['number'])).toEqual(left.map((_, index) => index + 1));
    expect(new Set(left.map(({ envelope }) => envelope.session))).toEqual(new Set([outbox.session]));
    expect(await lettersOf(outbox)).toEqual([]);
  });

  it('belongs to one of two that race for what a killed one left', async () => {
    const directory = await makeDirectory();
    for (let round = 0; round < 3; round += 1) {
      const racers = [1, 2, 3].map(() => start(process.execPath, [SENDER, directory, '1']));
      await eventually('each is in or refused', () =>
        racers.every(({ said }) => /^(put|refused)/m.test(said.stdout)),
      );
      const refused = racers.filter(({ said }) => said.stdout.includes('refused'));
      expect(racers.map(({ said }) => said.stderr).join('')).toBe('');
      expect(refused).toHaveLength(2);
      for (const { said } of refused) {
        expect(said.stdout).toContain(`refused conflict the outbox ${directory} is in use by`);
      }
      for (const { child, ended } of racers) {
        child.kill('SIGKILL');
        await ended;
      }
    }
    expect(await leftIn(await openOutbox(directory))).toHaveLength(3);
  });

  it('is refused to a second one of the same process, until it is closed', async () => {
    const directory = await makeDirectory();
    const first = await openOutbox(directory);
    await expect(openOutbox(directory)).rejects.toMatchObject({ code: 'conflict' });
    await first.close();
    await openOutbox(directory);
    await expect(first.put(entryOf('a'))).rejects.toMatchObject({ code: 'client_closed' });
  });

  it('takes nothing more where another one took it over, and leaves what is in it to that one', async () => {
    const directory = await makeDirectory();
    const outbox = await openOutbox(directory);
    await outbox.put(entryOf('a'));
    expect(outbox.nextSequence('oven')).toBe(1);
    const session = await readFile(join(directory, 'session.json'), 'utf8');
    await writeFile(join(directory, 'lock', '2.json'), '{"pid":1,"host":"elsewhere"}');
    let count = 0;
    const refusal = await eventually('it has noticed', async () => {
      try {
        await outbox.put(entryOf(`b${(count += 1)}`));
      } catch (error) {
        return error as MembraneError;
      }
      return undefined;
    });
    expect(refusal).toMatchObject({
      code: 'conflict',
      message: `the outbox ${directory} was taken over by another process`,
    });
    await outbox.close();
    expect(await readFile(join(directory, 'session.json'), 'utf8')).toBe(session);
    expect(await readdir(join(directory, 'new'))).toHaveLength(count);
  });

  it('that cannot be used is said with its path', async () => {
    const directory = join(await makeDirectory(), 'file');
    await writeFile(directory, '');
    await expect(openOutbox(directory)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining(directory) as unknown,
    });
  });
});
