import fs from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { newMessageId } from '../../src/messaging/message-id.js';
import type { WriterFiles } from '../../src/transports/durable-writer.js';
import { SharedVolumeTransport } from '../../src/transports/shared-volume-transport.js';
import { eventually } from '../support/eventually.js';
import { FakeTaker } from '../support/fake-taker.js';
import { useProcesses } from '../support/processes.js';
import { withSmallDisk } from '../support/small-disk.js';
import { message } from '../support/transports.js';
import { namesIn, readJson, useVolumes } from '../support/volumes.js';

const { makeDirectory, makeVolume, openInbox, openTransport } = useVolumes();
const { start } = useProcesses();
const SENDER = new URL('../fixtures/volume-sender.mjs', import.meta.url).pathname;

/** The file system, with a word about each call, and a failure where one is wanted. */
function observeFiles(failAt?: (call: string) => boolean): { files: WriterFiles; calls: string[] } {
  const calls: string[] = [];
  const names = new Map<number, string>();
  const check = (call: string): void => {
    calls.push(call);
    if (failAt?.(call) === true)
      throw Object.assign(new Error(`EIO: ${call}`), { code: 'EIO', syscall: 'test' });
  };
  const files = {
    ...fs,
    open: (path: string, flags: string, mode: unknown, done?: unknown) => {
      const callback = (done ?? mode) as (error: Error | null, file: number) => void;
      fs.open(path, flags, (error, file) => {
        names.set(file, basename(path) === 'new' ? 'new' : 'file');
        callback(error, file);
      });
    },
    fsync: (file: number, callback: (error: Error | null) => void) => {
      try {
        check(`sync ${names.get(file) ?? ''}`);
      } catch (error) {
        callback(error as Error);
        return;
      }
      fs.fsync(file, callback);
    },
    rename: (from: string, to: string, callback: (error: Error | null) => void) => {
      check('rename');
      fs.rename(from, to, callback);
    },
  } as unknown as WriterFiles;
  return { files, calls };
}

describe('a message over a shared volume', () => {
  it('of a foreign sender does not take the place of another one with its id', async () => {
    const { root, directory, to } = await makeVolume();
    const transport = openTransport(root);
    const foreign = (payload: number) => {
      const { envelope, deadlineAtMs } = message(payload, { timeoutMs: 10_000 });
      const { session, sequence, ...rest } = envelope;
      return { envelope: { ...rest, id: '1', timestamp: 1 }, deadlineAtMs };
    };
    for (const payload of [1, 2, 2]) await transport.send(foreign(payload), to);
    expect(await namesIn(directory, 'new')).toHaveLength(2);
  });

  it('is queued as one whole file that nobody but its receiver needs', async () => {
    const { root, directory, to } = await makeVolume();
    const sent = message({ bread: 'rye' }, { timeoutMs: 10_000 });
    expect(await openTransport(root).send(sent, to)).toEqual({ outcome: 'queued' });
    expect(await namesIn(directory, 'tmp')).toEqual([]);
    const names = await namesIn(directory, 'new');
    expect(names).toEqual([`${sent.envelope.id}.json`]);
    const written = (await readJson(join(directory, 'new', names[0]!))) as typeof sent.envelope;
    expect(written).toEqual({
      ...sent.envelope,
      timestamp: expect.any(Number) as number,
      ttl_ms: expect.any(Number) as number,
    });
    expect(written.ttl_ms).toBeGreaterThan(5_000);
    expect(written.ttl_ms).toBeLessThanOrEqual(10_000);
    expect(Math.abs(Date.now() - written.timestamp! * 1_000)).toBeLessThan(10_000);
  });

  it('is synced before it is seen, and its name before it is queued', async () => {
    const { root, to } = await makeVolume();
    const { files, calls } = observeFiles();
    await openTransport(root, { files }).send(message(1), to);
    expect(calls).toEqual(['sync file', 'rename', 'sync new']);
  });

  it('shares the sync of the directory with those that come at once', async () => {
    const { root, directory, to } = await makeVolume();
    const { files, calls } = observeFiles();
    const transport = openTransport(root, { files });
    await Promise.all(Array.from({ length: 200 }, (_, number) => transport.send(message(number), to)));
    expect(await namesIn(directory, 'new')).toHaveLength(200);
    expect(calls.filter((call) => call === 'sync file')).toHaveLength(200);
    expect(calls.filter((call) => call === 'sync new').length).toBeLessThan(150);
    // Whatever came last was synced, too.
    expect(calls.lastIndexOf('sync new')).toBeGreaterThan(calls.lastIndexOf('rename'));
  });

  it('is not delivered where its sync fails, and nothing of it is left', async () => {
    const { root, directory, to } = await makeVolume();
    const { files } = observeFiles((call) => call === 'sync file');
    const sending = openTransport(root, { files }).send(message(1), to);
    await expect(sending).rejects.toMatchObject({ code: 'not_delivered', cause: { code: 'EIO' } });
    expect([await namesIn(directory, 'new'), await namesIn(directory, 'tmp')]).toEqual([[], []]);
  });

  it('is not delivered where the sync of the directory fails, and takes one place when it is sent again', async () => {
    const { root, directory, to } = await makeVolume();
    const { files } = observeFiles((call) => call === 'sync new');
    const sent = message(1);
    await expect(openTransport(root, { files }).send(sent, to)).rejects.toMatchObject({
      code: 'not_delivered',
    });
    await openTransport(root).send(sent, to);
    expect(await namesIn(directory, 'new')).toHaveLength(1);
  });

  it.each(['message 7', 'urn:x:7', 'CAPITALS'])(
    'takes one place under the foreign id %j, too',
    async (id) => {
      const { root, directory, to } = await makeVolume();
      const transport = openTransport(root);
      const sent = message(1, { id });
      await transport.send(sent, to);
      await transport.send(sent, to);
      await transport.send(message(2, { id: newMessageId() }), to);
      expect(await namesIn(directory, 'new')).toHaveLength(2);
    },
  );

  it('sorts among others by when it was made', async () => {
    const { root, directory, to } = await makeVolume();
    const transport = openTransport(root);
    const messages = [message(0), message(1, { id: 'x1' }), message(2)];
    messages[0]!.envelope.id = '01900000-0000-7000-8000-000000000000';
    messages[1]!.envelope.timestamp = 0x019000000001 / 1_000;
    for (const each of [...messages].reverse()) await transport.send(each, to);
    const files = await namesIn(directory, 'new');
    const payloads = files.map(
      async (name) => ((await readJson(join(directory, 'new', name))) as never)['payload'],
    );
    expect(await Promise.all(payloads)).toEqual([0, 1, 2]);
  });

  it('is refused where too many wait, and taken when there is room', async () => {
    const { root, directory, to } = await makeVolume();
    const transport = openTransport(root, { maxWaitingFiles: 3 });
    for (let number = 0; number < 3; number += 1) await transport.send(message(number), to);
    await expect(transport.send(message(3), to)).rejects.toMatchObject({
      code: 'inbox_full',
      details: { retryAfterMs: 1_000 },
    });
    await rm(join(directory, 'new', (await namesIn(directory, 'new'))[0]!));
    await eventually('there is room again', () =>
      transport.send(message(3), to).then(
        () => true,
        () => false,
      ),
    );
    await expect(transport.send(message(4), to)).rejects.toMatchObject({ code: 'inbox_full' });
  });

  it('counts what others put there', async () => {
    const { root, directory, to } = await makeVolume();
    for (const name of ['a', 'b', 'c']) await writeFile(join(directory, 'new', name), '{}');
    const sending = openTransport(root, { maxWaitingFiles: 3 }).send(message(1), to);
    await expect(sending).rejects.toMatchObject({ code: 'inbox_full' });
  });

  it('is refused where it is too large, its time is over, or its sender gave up', async () => {
    const { root, directory, to } = await makeVolume();
    const transport = openTransport(root, { maxMessageBytes: 1_000 });
    const send = (...[payload, options]: Parameters<typeof message>) =>
      transport.send(message(payload, options), to);
    await expect(send('x'.repeat(1_000))).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(send(1, { timeoutMs: 0 })).rejects.toMatchObject({ code: 'expired' });
    const reason = new Error('enough');
    const sending = transport.send(message(1), to, { signal: AbortSignal.abort(reason) });
    await expect(sending).rejects.toBe(reason);
    await transport.close();
    await expect(send(1)).rejects.toMatchObject({ code: 'client_closed' });
    expect(await namesIn(directory, 'new')).toEqual([]);
  });

  it('is told to be undelivered where the file system never answers', async () => {
    const { root, to } = await makeVolume();
    const files = { ...fs, fsync: () => undefined } as unknown as WriterFiles;
    // Not closed: that would wait.
    const transport = new SharedVolumeTransport({ root, clock: systemClock, files });
    const sending = transport.send(message(1, { timeoutMs: 50 }), to);
    await expect(sending).rejects.toMatchObject({ code: 'not_delivered' });
  });

  it('leaves only whole files where its sender is killed', async () => {
    const { root, directory } = await makeVolume();
    const queued: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { child, said, ended } = start(process.execPath, [SENDER, root, directory]);
      await eventually('it has sent some', () => said.stdout.split('\n').length > 5);
      child.kill('SIGKILL');
      await ended;
      queued.push(...[...said.stdout.matchAll(/queued (\S+)\n/g)].map(([, id]) => id!));
    }
    const names = await namesIn(directory, 'new');
    expect(names).toEqual(expect.arrayContaining(queued.map((id) => `${id}.json`)));
    for (const name of names) {
      const { payload } = (await readJson(join(directory, 'new', name))) as { payload: { payload: string } };
      expect(payload.payload).toHaveLength(300_000);
    }
  });

  it('is not delivered where the disk is full, and is when there is room again', async () => {
    await withSmallDisk(async (root) => {
      const directory = join(root, 'inbox', 'oven');
      for (const part of ['tmp', 'new']) await mkdir(join(directory, part), { recursive: true });
      const to = { kind: 'shared-volume', address: directory } as const;
      const transport = openTransport(root);
      const ballast = join(root, 'ballast');
      await writeFile(ballast, Buffer.alloc(1_900_000));
      const sent = message('x'.repeat(500_000));
      await expect(transport.send(sent, to)).rejects.toMatchObject({
        code: 'not_delivered',
        message: expect.stringContaining('ENOSPC') as string,
        cause: { code: 'ENOSPC' },
      });
      expect([await namesIn(directory, 'new'), await namesIn(directory, 'tmp')]).toEqual([[], []]);
      await rm(ballast);
      expect(await transport.send(sent, to)).toEqual({ outcome: 'queued' });
    });
  });
});

describe('the directory that a registry names', () => {
  const forbidden = { code: 'forbidden' };

  it('is looked for at its place below the own root, where the receiver mounted the volume elsewhere', async () => {
    const { root, directory } = await makeVolume();
    const transport = openTransport(root);
    const named = { kind: 'shared-volume', isRealmNamed: true } as const;
    await transport.send(message(1), { ...named, address: '/elsewhere/shared/inbox/oven' });
    expect(await namesIn(directory, 'new')).toHaveLength(1);
    const other = join(root, 'namespaces', 'bakery', 'inbox', 'oven@2');
    for (const part of ['tmp', 'new']) await mkdir(join(other, part), { recursive: true });
    const address = '/elsewhere/namespaces/bakery/inbox/oven@2';
    await transport.send(message(2), { ...named, address });
    expect(await namesIn(other, 'new')).toHaveLength(1);
  });

  it('is used only where it stands, where its receiver named no realm', async () => {
    const { root, directory, to } = await makeVolume();
    const transport = openTransport(root);
    const address = '/elsewhere/shared/inbox/oven';
    await transport.send(message(1), { kind: 'shared-volume', address, isRealmNamed: true });
    for (const unnamed of [{}, { isRealmNamed: false }]) {
      await expect(
        transport.send(message(2), { kind: 'shared-volume', address, ...unnamed }),
      ).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining(root) as string });
    }
    await transport.send(message(3), to);
    expect(await namesIn(directory, 'new')).toHaveLength(2);
  });

  it('may be reached through a link that stays in the root, or leads to it', async () => {
    const { root, directory } = await makeVolume();
    await symlink(directory, join(root, 'inbox', 'stove'));
    const alias = join(await makeDirectory(), 'alias');
    await symlink(root, alias);
    for (const address of [join(root, 'inbox', 'stove'), join(alias, 'inbox', 'oven')]) {
      await openTransport(alias).send(message(address), { kind: 'shared-volume', address });
    }
    expect(await namesIn(directory, 'new')).toHaveLength(2);
  });

  it.each([
    ['that is a link out of it', (root: string) => join(root, 'inbox', 'trap')],
    ['below a link out of it', (root: string) => join(root, 'out', 'oven')],
    ['that goes up', (root: string) => `${root}/inbox/../../etc`],
    ['of the system', () => '/etc'],
    ['that is the root itself', (root: string) => root],
    ['that is relative', () => 'inbox/oven'],
    ['with a zero in it', (root: string) => `${root}/inbox/oven\0`],
    ['whose new/ is a link', (root: string) => join(root, 'inbox', 'linked')],
    ['whose tmp/ is a link', (root: string) => join(root, 'inbox', 'linked-too')],
  ])('is not used where it is one %s', async (_, addressIn) => {
    const { root } = await makeVolume();
    const outside = await makeDirectory();
    await mkdir(join(outside, 'oven', 'new'), { recursive: true });
    await mkdir(join(outside, 'oven', 'tmp'));
    await symlink(join(outside, 'oven'), join(root, 'inbox', 'trap'));
    await symlink(outside, join(root, 'out'));
    for (const [name, own, linked] of [
      ['linked', 'tmp', 'new'],
      ['linked-too', 'new', 'tmp'],
    ] as const) {
      await mkdir(join(root, 'inbox', name, own), { recursive: true });
      await symlink(join(outside, 'oven', linked), join(root, 'inbox', name, linked));
    }
    const sending = openTransport(root).send(message(1), { kind: 'shared-volume', address: addressIn(root) });
    await expect(sending).rejects.toMatchObject(forbidden);
    expect(await namesIn(outside, 'oven')).toEqual(['new', 'tmp']);
    expect([await namesIn(outside, 'oven/new'), await namesIn(outside, 'oven/tmp')]).toEqual([[], []]);
  });

  it('is told to be missing where it is', async () => {
    const { root } = await makeVolume();
    await writeFile(join(root, 'file'), '');
    for (const address of [join(root, 'inbox', 'nobody'), '/elsewhere/inbox/nobody', join(root, 'file')]) {
      const to = { kind: 'shared-volume', address, isRealmNamed: true } as const;
      await expect(openTransport(root).send(message(1), to)).rejects.toMatchObject({ code: 'not_delivered' });
    }
    const nowhere = join(root, 'no', 'root');
    const sending = openTransport(nowhere).send(message(1), {
      kind: 'shared-volume',
      address: `${nowhere}/inbox/oven`,
    });
    await expect(sending).rejects.toMatchObject({ code: 'not_delivered' });
  });
});

describe('a message for an older program', () => {
  it('is a msg_*.json that appears whole, of what such a program knows', async () => {
    const { root, directory, to } = await makeVolume({ isMaildir: false });
    const transport = openTransport(root);
    const payload = { text: 'x'.repeat(200_000) };
    // As the older program reads: whatever matches, whenever it looks, and away with it.
    const read: unknown[] = [];
    const over = new AbortController();
    const reading = (async () => {
      while (!over.signal.aborted || (await namesIn(directory)).length > 0) {
        for (const name of (await namesIn(directory)).filter((each) => /^msg_.*\.json$/.test(each))) {
          read.push(JSON.parse(await readFile(join(directory, name), 'utf8')));
          await rm(join(directory, name));
        }
      }
    })();
    for (let number = 0; number < 20; number += 1) {
      expect(await transport.send(message({ ...payload, number }), to)).toEqual({ outcome: 'queued' });
    }
    over.abort();
    await reading;
    const expected = Array.from({ length: 20 }, (_, number) => ({
      sender: 'baker',
      timestamp: expect.any(Number) as number,
      payload: { ...payload, number },
    }));
    expect(read).toEqual(expected);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('is a whole envelope as soon as a newer one takes its place', async () => {
    const { root, directory, to } = await makeVolume({ isMaildir: false });
    const transport = openTransport(root);
    await transport.send(message(1), to);
    const taker = new FakeTaker();
    await openInbox(directory, taker).start();
    await transport.send(message(2), to);
    await eventually('both came', () => taker.taken.length === 2);
    expect(taker.taken.map(({ envelope }) => envelope.session)).toEqual([undefined, 'session-1']);
    expect(taker.payloads).toEqual([1, 2]);
  });
});
