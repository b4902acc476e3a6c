import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS, MembraneError } from '@membrane/protocol';
import type { DeadLetterInfo } from '../../src/messaging/dead-letters.js';
import { newMessageId } from '../../src/messaging/message-id.js';
import { ownIdentity } from '../../src/messaging/process-identity.js';
import { ClaimRecovery } from '../../src/transports/claim-lease.js';
import { DeadLetterDirectory } from '../../src/transports/dead-letter-directory.js';
import { Maildir } from '../../src/transports/maildir.js';
import { eventually } from '../support/eventually.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeTaker } from '../support/fake-taker.js';
import { useProcesses } from '../support/processes.js';
import { message } from '../support/transports.js';
import { causesIn, namesIn, useVolumes } from '../support/volumes.js';

const { makeVolume, makeDirectory, openInbox, openTransport } = useVolumes();
const { start } = useProcesses();
const CONSUMER = new URL('../fixtures/volume-consumer.mjs', import.meta.url).pathname;

const isEmpty = async (directory: string): Promise<boolean> =>
  (await namesIn(directory, 'new')).length + (await namesIn(directory, 'cur')).length === 0;

/** Files in `new/`, as a sender leaves them. */
async function putAll(directory: string, payloads: readonly unknown[], more: object = {}): Promise<string[]> {
  const names: string[] = [];
  for (const payload of payloads) {
    const id = newMessageId();
    const content = JSON.stringify({ id, sender: 'baker', payload, ...more });
    names.push(`${id}.json`);
    await writeFile(join(directory, 'tmp', id), content);
    await rename(join(directory, 'tmp', id), join(directory, 'new', `${id}.json`));
  }
  return names;
}

describe('an inbox directory', () => {
  it.each([
    ['with hints', true],
    ['by looking alone', false],
  ])('is read in order, and emptied, %s', async (_, watch) => {
    const { root, directory, to } = await makeVolume({ isMaildir: false });
    const taker = new FakeTaker();
    await openInbox(directory, taker, { watch }).start();
    const transport = openTransport(root);
    for (let number = 0; number < 50; number += 1) await transport.send(message(number), to);
    await eventually('all came', () => taker.taken.length === 50);
    expect(taker.payloads).toEqual(Array.from({ length: 50 }, (_, number) => number));
    expect(new Set(taker.taken.map(({ options }) => options.isKept))).toEqual(new Set([true]));
    await eventually('nothing is left', () => isEmpty(directory));
  });

  it('is read at once where there is a hint', async () => {
    const { root, directory, to } = await makeVolume();
    const taker = new FakeTaker();
    await openInbox(directory, taker, { pollIntervalMs: 1_000_000 }).start();
    for (let number = 0; number < 5; number += 1) {
      await openTransport(root).send(message(number), to);
      await eventually('it came', () => taker.taken.length === number + 1);
    }
  });

  it('is read in order also where more waits than is remembered at a time', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    const numbers = Array.from({ length: 1_000 }, (_, number) => number);
    await putAll(directory, numbers);
    await openInbox(directory, taker, { maxKnownFiles: 30 }).start();
    await eventually('all came', () => taker.taken.length === numbers.length);
    expect(taker.payloads).toEqual(numbers);
    await eventually('nothing is left', () => isEmpty(directory));
  });

  it('hands over no more than there is room for', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    taker.window = 3;
    taker.onTake = () => (taker.window -= 1);
    await putAll(directory, [1, 2, 3, 4, 5]);
    await openInbox(directory, taker).start();
    await eventually('three came', () => taker.taken.length === 3);
    expect(await namesIn(directory, 'new')).toHaveLength(2);
    expect(await namesIn(directory, 'cur')).toHaveLength(3);
    taker.window = 2;
    await eventually('the others came', () => taker.taken.length === 5);
    expect(taker.payloads).toEqual([1, 2, 3, 4, 5]);
    for (const { finish } of taker.taken) finish({ outcome: 'processed' });
    await eventually('nothing is left', () => isEmpty(directory));
  });

  it('may be started and stopped twice, and again; what is in hand then stays claimed until it is done', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    taker.onTake = () => undefined;
    const inbox = openInbox(directory, taker);
    await putAll(directory, ['done', 'given back']);
    await Promise.all([inbox.start(), inbox.start()]);
    await eventually('both came', () => taker.taken.length === 2);
    expect(taker.listeners).toBe(1);
    await Promise.all([inbox.stop(), inbox.stop()]);
    expect(taker.listeners).toBe(0);
    await putAll(directory, ['later']);
    expect(await namesIn(directory, 'cur')).toHaveLength(2);
    taker.taken[0]!.finish({ outcome: 'processed' });
    taker.taken[1]!.finish({ outcome: 'failed', error: new MembraneError('client_closed', 'closed') });
    await eventually('no claim is left', async () => (await namesIn(directory, 'cur')).length === 0);
    expect(await namesIn(directory, 'new')).toHaveLength(2);
    taker.onTake = undefined;
    await inbox.start();
    await eventually('the others came', () => taker.taken.length === 4);
    expect(taker.payloads.slice(2).sort()).toEqual(['given back', 'later']);
    expect(taker.taken.map(({ envelope }) => envelope.attempt ?? 1)).toEqual([1, 1, 1, 1]);
  });

  it('leaves no trace of a consumer that stopped', async () => {
    const { directory } = await makeVolume();
    const inbox = openInbox(directory);
    await putAll(directory, [1]);
    await inbox.start();
    await eventually('nothing is left', () => isEmpty(directory));
    await inbox.stop();
    expect(await readdir(join(directory, 'cur'))).toEqual([]);
  });

  it('is made anew where somebody removed it', async () => {
    const { root, directory, to } = await makeVolume();
    const taker = new FakeTaker();
    await openInbox(directory, taker, { claimLeaseMs: 150 }).start();
    // It may be made anew while it is removed.
    await rm(directory, { recursive: true, maxRetries: 20 });
    await eventually('it is there again', () =>
      namesIn(directory, 'new').then(
        () => true,
        () => false,
      ),
    );
    await eventually('a message comes', async () => {
      await openTransport(root)
        .send(message(1), to)
        .catch(() => undefined);
      return taker.taken.length > 0;
    });
  });

  it('that cannot be used is told of once, until it can', async () => {
    const { directory } = await makeVolume({ isMaildir: false });
    const taker = new FakeTaker();
    const errors: MembraneError[] = [];
    await mkdir(join(directory, 'good'));
    await writeFile(join(directory, 'bad'), '');
    const lead = async (to: string): Promise<void> => {
      await symlink(to, join(directory, 'next'));
      await rename(join(directory, 'next'), join(directory, 'new'));
    };
    await lead('good');
    await openInbox(directory, taker, { onError: (error) => errors.push(error) }).start();
    await lead('bad');
    await eventually('it is told', () => errors.length > 0);
    await lead('good');
    await putAll(directory, [1]);
    await eventually('it is read again', () => taker.payloads.length === 1);
    expect(errors).toMatchObject([{ code: 'store_unavailable' }]);
    expect(errors[0]!.message).toContain(directory);
  });

  it('that cannot be made is refused with the reason', async () => {
    const file = join(await makeDirectory(), 'file');
    await writeFile(file, '');
    await expect(openInbox(join(file, 'oven')).start()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('ENOTDIR') as string,
    });
  });

  it('has the files removed that a sender began long ago', async () => {
    const { directory } = await makeVolume();
    const old = new Date(Date.now() - 37 * 3_600_000);
    for (const name of ['old', 'recent']) await writeFile(join(directory, 'tmp', name), 'half');
    await utimes(join(directory, 'tmp', 'old'), old, old);
    await openInbox(directory, undefined, { claimLeaseMs: 60 }).start();
    await eventually('the old one is gone', async () => !(await namesIn(directory, 'tmp')).includes('old'));
    expect(await namesIn(directory, 'tmp')).toEqual(['recent']);
  });
});

describe('a message that is refused', () => {
  it('waits in its place until there is a handler, and holds up no reply and no other kind', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    const take = taker.take.bind(taker);
    const asked: string[] = [];
    let handled = ['pizza'];
    taker.take = (envelope, options, onDone) => {
      const kind = envelope.type ?? 'reply';
      if (kind === 'reply' || handled.includes(kind)) return take(envelope, options, onDone);
      asked.push(kind);
      return new MembraneError('no_handler', 'nobody');
    };
    const waiting = await putAll(directory, [1, 2, 3], { type: 'bread' });
    await putAll(directory, ['other'], { type: 'pizza' });
    await putAll(directory, ['reply'], { correlation_id: 'x' });
    await openInbox(directory, taker, { pollIntervalMs: 1_000_000 }).start();
    await eventually('others came', () => taker.taken.length === 2);
    expect(taker.payloads).toEqual(['other', 'reply']);
    expect(await namesIn(directory, 'new')).toEqual(waiting);
    // Only the first one was asked for, however many wait.
    expect(asked).toEqual(['bread']);
    await putAll(directory, [4], { type: 'bread' });
    handled = ['bread'];
    taker.window = 1_000;
    await eventually('all came', () => taker.taken.length === 6);
    expect(taker.payloads.slice(2)).toEqual([1, 2, 3, 4]);
    await eventually('nothing is left', () => isEmpty(directory));
  });

  it('keeps its place where the inbox in memory is full', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    taker.refusal = new MembraneError('inbox_full', 'full');
    const names = await putAll(directory, [1, 2, 3]);
    await openInbox(directory, taker, { watch: false }).start();
    await putAll(directory, [4]);
    expect(names).toEqual((await namesIn(directory, 'new')).slice(0, 3));
    taker.refusal = undefined;
    await eventually('all came', () => taker.taken.length === 4);
    expect(taker.payloads).toEqual([1, 2, 3, 4]);
  });

  it('of a stream is offered to a full inbox, where another sender’s of the same name finds no room', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    const take = taker.take.bind(taker);
    taker.take = (envelope, options, onDone) =>
      envelope.session === 'awaited'
        ? take(envelope, options, onDone)
        : new MembraneError('inbox_full', 'full of those that wait');
    const of = (session: string): object => ({ session, stream: 'dough', sequence: 1 });
    const waiting = await putAll(directory, [1, 2], of('other'));
    await putAll(directory, ['no stream']);
    await putAll(directory, [3], of('awaited'));
    await openInbox(directory, taker, { pollIntervalMs: 50 }).start();
    await putAll(directory, [4], of('awaited'));
    await eventually('they came', () => taker.taken.length === 2);
    expect(taker.payloads).toEqual([3, 4]);
    expect((await namesIn(directory, 'new')).slice(0, 2)).toEqual(waiting);
  });

  it('is a dead letter where it is refused for good, or fails', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    taker.onTake = ({ finish }) => {
      finish({ outcome: 'failed', error: new MembraneError('handler_failed', 'burnt') });
    };
    await putAll(directory, ['failed']);
    await openInbox(directory, taker).start();
    await eventually('it died', async () => (await causesIn(directory)).length === 1);
    taker.refusal = new MembraneError('out_of_order', 'too late');
    await putAll(directory, ['refused'], { session: 's', sequence: 7 });
    await eventually('it died', async () => (await causesIn(directory)).length === 2);
    await eventually('nothing is left', () => isEmpty(directory));
    const letters = new DeadLetterDirectory(directory);
    expect(await letters.list({ limit: 10 })).toMatchObject([
      { place: 'shared-volume', code: 'handler_failed', reason: 'burnt', envelope: { payload: 'failed' } },
      { place: 'shared-volume', code: 'out_of_order', reason: 'too late', envelope: { sequence: 7 } },
    ]);
    const [{ messageId, diedAtMs }] = (await letters.list({ limit: 1 })) as [DeadLetterInfo];
    expect(Math.abs(Date.now() - diedAtMs)).toBeLessThan(60_000);

    expect(await letters.discard({ messageIds: [messageId, 'nobody'] })).toBe(1);
    taker.onTake = undefined;
    taker.refusal = undefined;
    expect(await letters.requeue()).toBe(1);
    await eventually('it came again', () => taker.payloads.at(-1) === 'refused');
    const { envelope } = taker.taken.at(-1)!;
    expect(envelope).toMatchObject({ attempt: 2 });
    expect(envelope.ttl_ms).toBeGreaterThan(3_000_000);
    // Of its old sequence the receiver would say again that it comes too late.
    expect(envelope).not.toHaveProperty('session');
    expect(await letters.list({ limit: 10 })).toEqual([]);
    expect(await namesIn(directory, 'dead')).toEqual([]);
  });

  it('has files that whoever the umask lets may read, also for the causes of dead letters', async () => {
    const { root, directory, to } = await makeVolume();
    const taker = new FakeTaker();
    taker.onTake = ({ finish }) => {
      finish({ outcome: 'failed', error: new MembraneError('handler_failed', 'no') });
    };
    await openTransport(root).send(message('clumsy'), to);
    await openInbox(directory, taker).start();
    await eventually('it is dead', async () => (await namesIn(directory, 'dead')).length === 2);
    const asItComes = join(await makeDirectory(), 'file');
    await writeFile(asItComes, '');
    for (const name of await namesIn(directory, 'dead')) {
      const { mode } = await stat(join(directory, 'dead', name));
      expect(mode).toBe((await stat(asItComes)).mode);
    }
  });

  it('keeps no other dead letter from being put back where one cannot be', async () => {
    const { directory } = await makeVolume();
    const ids = [newMessageId(), newMessageId(), newMessageId()];
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    for (const id of ids) {
      const text = `{"id":"${id}","sender":"baker","payload":1,"deep":${deep}}`;
      await writeFile(join(directory, 'dead', `${id}.json`), text);
    }
    await mkdir(join(directory, 'new', `${ids[0]!}.json`));
    const letters = new DeadLetterDirectory(directory);
    await expect(letters.requeue()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(new RegExp(`^1 of 3 .*${ids[0]!}.*EISDIR`)) as string,
    });
    expect((await letters.list({ limit: 10 })).map(({ messageId }) => messageId)).toEqual([ids[0]]);
    expect(await namesIn(directory, 'new')).toEqual(ids.map((id) => `${id}.json`));
  });

  it('has no dead letters where nobody received anything yet', async () => {
    const letters = new DeadLetterDirectory(join(await makeDirectory(), 'oven'));
    expect([await letters.list({ limit: 1 }), await letters.requeue(), await letters.discard()]).toEqual([
      [],
      0,
      0,
    ]);
  });
});

describe('the time limit of a message', () => {
  it('goes on while it waits in the directory', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    const nowS = Date.now() / 1_000;
    await putAll(directory, ['over'], { ttl_ms: 10_000, timestamp: nowS - 11 });
    await putAll(directory, ['half'], { ttl_ms: 600_000, timestamp: nowS - 300 });
    await putAll(directory, ['of a clock ahead'], { ttl_ms: 600_000, timestamp: nowS + 300 });
    await putAll(directory, ['without']);
    await openInbox(directory, taker).start();
    await eventually('they came', () => taker.taken.length === 3);
    const [half, ahead, without] = taker.taken.map(({ envelope }) => envelope.ttl_ms);
    expect(half).toBeGreaterThan(200_000);
    expect(half).toBeLessThanOrEqual(300_000);
    expect(ahead).toBe(600_000);
    expect(without).toBeUndefined();
    await eventually('the first died', async () => (await causesIn(directory)).join() === 'expired');
  });
});

describe('what is no message', () => {
  it('goes to the dead letters with its fault, and the others come', async () => {
    const { directory } = await makeVolume();
    const outside = join(await makeDirectory(), 'secret');
    await writeFile(outside, JSON.stringify({ sender: 'baker', payload: 'secret' }));
    const path = (name: string): string => join(directory, 'new', name);
    await writeFile(path('1-half.json'), '{"sender":"baker","payl');
    await writeFile(path('2-list.json'), '[]');
    await writeFile(path('3-no-payload.json'), '{"sender":"baker"}');
    await writeFile(path('4-large.json'), JSON.stringify({ sender: 'baker', payload: 'x'.repeat(2_000) }));
    await symlink(outside, path('5-link.json'));
    execFileSync('mkfifo', [path('6-pipe.json')]);
    await mkdir(path('7-directory.json'));
    await writeFile(path('8-bytes.json'), Buffer.from([0x22, 0xff, 0x22]));
    await writeFile(path(`9${'ä'.repeat(120)}`), '');
    await writeFile(path('.hidden'), '');
    await putAll(directory, ['good']);
    const taker = new FakeTaker();
    await openInbox(directory, taker, { maxMessageBytes: 1_000 }).start();
    await eventually('the good one came', () => taker.taken.length === 1);
    await eventually('nothing else is left', async () => {
      const left = [...(await namesIn(directory, 'new')), ...(await namesIn(directory, 'cur'))];
      return left.length === 0;
    });
    expect(taker.payloads).toEqual(['good']);
    const faults = (await causesIn(directory)).sort();
    expect(faults).toEqual([...Array<string>(8).fill('invalid_request'), 'payload_too_large']);
    const letters = new DeadLetterDirectory(directory);
    expect(await letters.list({ limit: 3 })).toMatchObject([
      { messageId: '1-half.json', envelope: undefined },
      { messageId: '2-list.json', envelope: undefined },
      { messageId: '3-no-payload.json', envelope: undefined },
    ]);
    expect(await letters.requeue({ messageIds: ['1-half.json'] })).toBe(0);
    expect(await letters.discard({ messageIds: ['1-half.json', '7-directory.json'] })).toBe(2);
    expect(await readFile(outside, 'utf8')).toContain('secret');
  });
});

describe('messages of older programs', () => {
  it('are taken when they are whole, however slowly they are written', async () => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    await openInbox(directory, taker).start();
    const path = join(directory, 'msg_1700000000.123_abc.json');
    const text = JSON.stringify(
      { sender: 'python', timestamp: 1_700_000_000.5, payload: { text: 'héllo' } },
      null,
      2,
    );
    for (const part of ['', text.slice(0, 20), text.slice(0, -1)]) {
      await writeFile(path, part);
      // It is looked at again and again, by hints and without.
      await openTransport(join(directory, '..', '..')).send(message(part), {
        kind: 'shared-volume',
        address: directory,
      });
      await eventually('the other one came', () => taker.payloads.includes(part));
      expect(await namesIn(directory)).toContain('msg_1700000000.123_abc.json');
    }
    await writeFile(path, text);
    await eventually('it came', () => taker.taken.length === 4);
    expect(taker.taken[3]!.envelope).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      sender: 'python',
      timestamp: 1_700_000_000.5,
      payload: { text: 'héllo' },
    });
    await eventually('nothing is left', () => isEmpty(directory));
    expect(await namesIn(directory)).toEqual(['cur', 'dead', 'new', 'tmp']);
  });

  it.each([true, false])('come in the order of their writing, with hints or not: %s', async (watch) => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    await openInbox(directory, taker, { watch }).start();
    for (const number of [0, 1, 2]) {
      await writeFile(join(directory, `msg_${9 - number}.json`), JSON.stringify({ payload: number }));
      await eventually('it came', () => taker.taken.length === number + 1);
    }
    expect(taker.taken.map(({ envelope }) => envelope.sender)).toEqual(['unknown', 'unknown', 'unknown']);
    // The same words, under the same name, at another time.
    await writeFile(join(directory, 'msg_9.json'), JSON.stringify({ payload: 0 }));
    await eventually('it came', () => taker.taken.length === 4);
    expect(new Set(taker.taken.map(({ envelope }) => envelope.id)).size).toBe(4);
  });

  it('keep their id when their consumer dies', async () => {
    const { directory } = await makeVolume();
    await writeFile(join(directory, 'msg_1.json'), JSON.stringify({ sender: 'python', payload: 1 }));
    const taker = new FakeTaker();
    taker.refusal = new MembraneError('no_handler', 'nobody');
    const inbox = openInbox(directory, taker);
    await inbox.start();
    await eventually('it is taken in', async () => (await namesIn(directory, 'new')).length === 1);
    await inbox.stop();
    const [name] = (await namesIn(directory, 'new')) as [string];
    const ids: string[] = [];
    for (const suffix of ['', ',1']) {
      const again = new FakeTaker();
      again.onTake = () => undefined;
      await rename(join(directory, 'new', name), join(directory, 'new', name + suffix));
      const other = openInbox(directory, again);
      await other.start();
      await eventually('it came', () => again.taken.length === 1);
      await other.stop();
      ids.push(again.taken[0]!.envelope.id);
      again.taken[0]!.finish({ outcome: 'failed', error: new MembraneError('client_closed', 'closed') });
      await eventually('it is back', async () => (await namesIn(directory, 'new')).length === 1);
    }
    expect(ids[0]).toBe(ids[1]);
  });

  it.each([
    ['"2026-05-01T10:00:00.25Z"', 1_777_629_600.25],
    ['"2026-05-01T12:00:00+02:00"', 1_777_629_600],
    ['"1777629600.5"', 1_777_629_600.5],
  ])('may say when they were written by %s', async (timestamp, seconds) => {
    const { directory } = await makeVolume();
    const taker = new FakeTaker();
    await writeFile(
      join(directory, 'msg_1.json'),
      `{"sender":"python","timestamp":${timestamp},"payload":1}`,
    );
    await openInbox(directory, taker).start();
    await eventually('it came', () => taker.taken.length === 1);
    expect(taker.taken[0]!.envelope.timestamp).toBe(seconds);
  });

  it.each([
    ['{"sender":"the oven","payload":1}', 'sender'],
    ['{"sender":"python","timestamp":"noon","payload":1}', 'timestamp'],
    ['{"sender":"python"}', 'payload'],
    ['[1]', 'object'],
  ])('that are whole, and none all the same, are dead letters at once: %s', async (text, word) => {
    const { directory } = await makeVolume();
    await writeFile(join(directory, 'msg_1.json'), text);
    await openInbox(directory).start();
    await eventually('it died', async () => (await causesIn(directory)).join() === 'invalid_request');
    const [letter] = await new DeadLetterDirectory(directory).list({ limit: 1 });
    expect(letter!.reason).toContain(word);
  });

  it('that stay broken for an hour are dead letters', async () => {
    const { directory } = await makeVolume();
    const old = new Date(Date.now() - 3_700_000);
    for (const name of ['msg_old.json', 'msg_new.json']) await writeFile(join(directory, name), '{"sender":');
    await utimes(join(directory, 'msg_old.json'), old, old);
    await openInbox(directory).start();
    await eventually('it died', async () => (await causesIn(directory)).join() === 'invalid_request');
    expect(await namesIn(directory)).toEqual(['cur', 'dead', 'msg_new.json', 'new', 'tmp']);
  });
});

describe('consumers of one directory', () => {
  const takenBy = (text: string) =>
    [...text.matchAll(/took (.+)\n/g)].map(
      ([, json]) => JSON.parse(json!) as { payload: number; attempt?: number },
    );

  it('handle each message once, between them, and lose none', async () => {
    const { directory } = await makeVolume();
    const consumers = [1, 2].map(() => start(process.execPath, [CONSUMER, directory, 'handle']));
    for (const { said } of consumers) await eventually('it reads', () => said.stdout.includes('started'));
    const numbers = Array.from({ length: 3_000 }, (_, number) => number);
    await putAll(directory, numbers);
    await eventually('nothing is left', () => isEmpty(directory));
    for (const { child } of consumers) child.stdin?.end();
    await Promise.all(consumers.map(({ ended }) => ended));
    const taken = consumers.map(({ said }) => takenBy(said.stdout).map(({ payload }) => payload));
    expect(taken.flat().sort((left, right) => left - right)).toEqual(numbers);
    for (const own of taken) expect(own.length).toBeGreaterThan(0);
  });

  it.each(['starts', 'runs already'])(
    'have what a killed one had claimed, in its order, where another %s',
    async (when) => {
      const { directory } = await makeVolume();
      await putAll(directory, [1, 2, 3]);
      const dying = start(process.execPath, [CONSUMER, directory, 'hold']);
      await eventually('it has them', () => takenBy(dying.said.stdout).length === 3);
      expect(await namesIn(directory, 'cur')).toHaveLength(3);
      const taker = new FakeTaker();
      const inbox = openInbox(directory, taker, { claimLeaseMs: 300 });
      if (when === 'runs already') await inbox.start();
      dying.child.kill('SIGKILL');
      await dying.ended;
      if (when === 'starts') {
        await putAll(directory, [4]);
        await inbox.start();
      }
      const count = when === 'starts' ? 4 : 3;
      await eventually('they came', () => taker.taken.length === count);
      expect(taker.taken.map(({ envelope }) => [envelope.payload, envelope.attempt])).toEqual(
        [
          [1, 2],
          [2, 2],
          [3, 2],
          [4, undefined],
        ].slice(0, count),
      );
      await eventually('nothing is left', () => isEmpty(directory));
    },
  );

  it('leave one alone that is stopped, however long', async () => {
    const { directory } = await makeVolume();
    await putAll(directory, [1]);
    const stopped = start(process.execPath, [CONSUMER, directory, 'hold']);
    await eventually('it has it', () => takenBy(stopped.said.stdout).length === 1);
    stopped.child.kill('SIGSTOP');
    const clock = new FakeClock();
    const recovery = new ClaimRecovery(new Maildir(directory), clock);
    expect(await recovery.recover('')).toBe(0);
    clock.advance(3_600_000);
    expect(await recovery.recover('')).toBe(0);
  });

  it('take from one that cannot be seen only when it was silent for a lease', async () => {
    const { directory } = await makeVolume();
    const maildir = new Maildir(directory);
    const [name] = (await putAll(directory, [1])) as [string];
    const claimant = '0123456789abcdef';
    const lease = join(directory, 'cur', `.${claimant}`);
    await writeFile(lease, JSON.stringify({ ...ownIdentity(), host: 'elsewhere' }));
    maildir.claim(name, claimant);
    const clock = new FakeClock();
    const recovery = new ClaimRecovery(maildir, clock);
    for (let seconds = 0; seconds < 100; seconds += 20) {
      await utimes(lease, seconds, seconds);
      expect(await recovery.recover('')).toBe(0);
      clock.advance(20_000);
    }
    expect(await recovery.recover('')).toBe(0);
    expect(await namesIn(directory, 'new')).toEqual([]);
    clock.advance(11_000);
    expect(await recovery.recover('')).toBe(1);
    expect(await namesIn(directory, 'new')).toEqual([`${name},1`]);
    expect(await recovery.recover('')).toBe(0);
  });

  it('make a dead letter of what ten consumers did not survive', async () => {
    const { directory } = await makeVolume();
    const maildir = new Maildir(directory);
    const [name] = (await putAll(directory, [1])) as [string];
    const recovery = new ClaimRecovery(maildir, new FakeClock());
    for (let losses = 0; losses < LIMITS.maxLostConsumers; losses += 1) {
      const [waiting] = await namesIn(directory, 'new');
      // Its consumer left no lease: it is dead.
      expect(maildir.claim(waiting!, '0123456789abcdef')).toBeDefined();
      expect(await recovery.recover('')).toBe(losses + 1 < LIMITS.maxLostConsumers ? 1 : 0);
    }
    expect([await namesIn(directory, 'new'), await namesIn(directory, 'cur')]).toEqual([[], []]);
    expect(await new DeadLetterDirectory(directory).list({ limit: 10 })).toMatchObject([
      {
        code: 'handler_failed',
        reason: '10 consumers were lost while they had it',
        envelope: { payload: 1 },
      },
    ]);
    expect(await namesIn(directory, 'dead')).toEqual([name, `${name}.cause`]);
  });
});
