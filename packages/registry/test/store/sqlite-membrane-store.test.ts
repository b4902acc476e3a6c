import { createHash } from 'node:crypto';
import { chmod, readFile, truncate, writeFile, open as openFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRegistry } from '../../src/registry.js';
import { SqliteKeyv } from '../../src/store/sqlite-keyv.js';
import { openSqliteStore } from '../../src/store/sqlite-membrane-store.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { describeStore, loadAll } from './membrane-store.conformance.js';

const makeDirectory = useTemporaryDirectories();
const BIN = fileURLToPath(new URL('../../bin/membrane-registry.js', import.meta.url));

describeStore('SQLite', async () => {
  const directory = await makeDirectory();
  return {
    open: (journalLimit) => openSqliteStore(directory, journalLimit === undefined ? {} : { journalLimit }),
    reopen: () => openSqliteStore(directory),
  };
});

const fileOf = (directory: string): string => join(directory, 'registry.sqlite');

async function hashOf(directory: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(fileOf(directory)))
    .digest('hex');
}

/** A directory with a store of a few hundred entries in it. */
async function makeStore(): Promise<string> {
  const directory = await makeDirectory();
  const store = await openSqliteStore(directory);
  await loadAll(store);
  const puts = Array.from({ length: 500 }, (_, index) => ({ key: `entry/${index}`, value: 'x'.repeat(200) }));
  await store.commit([{ puts, deletes: [] }]);
  await store.close();
  return directory;
}

/** What a registry says that cannot start on this directory. */
async function refusalOf(directory: string): Promise<string> {
  const registry = createRegistry({ port: 0, data: directory });
  try {
    await registry.start();
  } catch (error) {
    return (error as Error).message;
  } finally {
    await registry.stop();
  }
  return 'it started';
}

async function writeRow(directory: string, key: string, value: string): Promise<void> {
  const keyv = new SqliteKeyv(fileOf(directory));
  await keyv.set(`membrane:${key}`, value);
  await keyv.close();
}

describe('a store file', () => {
  it('is written ahead and through to the disk at every commit', async () => {
    const store = new SqliteKeyv(fileOf(await makeDirectory()));
    await store.lock();
    await store.useWriteAheadLog();
    expect(await store.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
    // 2 is FULL.
    expect(await store.query('PRAGMA synchronous')).toEqual([{ synchronous: 2 }]);
    await store.close();
  });

  it('belongs to one process, which a second one is told of, until that is killed', async () => {
    const directory = await makeDirectory();
    const holder = spawn(process.execPath, [BIN, '--port', '0', '--data', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      expect(await refusalOf(directory)).toMatch(
        new RegExp(
          `registry.sqlite is in use by process ${holder.pid}, the registry at http://127.0.0.1:\\d+; stop it`,
        ),
      );
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    expect(await refusalOf(directory)).toBe('it started');
  });

  it('that is no database is left as it is', async () => {
    const directory = await makeDirectory();
    await writeFile(fileOf(directory), 'not a database, but somebody may want it'.repeat(100));
    const hash = await hashOf(directory);
    expect(await refusalOf(directory)).toMatch(
      /registry\.sqlite is not an SQLite database; nothing was changed/,
    );
    expect(await hashOf(directory)).toBe(hash);
  });

  it.each([
    [
      'overwritten in the middle',
      async (file: string): Promise<void> => {
        const handle = await openFile(file, 'r+');
        await handle.write(Buffer.alloc(20_000, 0x5a), 0, 20_000, 30_000);
        await handle.close();
      },
    ],
    ['cut short', (file: string): Promise<void> => truncate(file, 40_000)],
  ])('that was %s is left as it is', async (_, damage) => {
    const directory = await makeStore();
    await damage(fileOf(directory));
    const hash = await hashOf(directory);
    expect(await refusalOf(directory)).toMatch(/registry\.sqlite is damaged/);
    expect(await hashOf(directory)).toBe(hash);
  });

  it.each([
    ['is not JSON', 'node/default/a', 'oops', /the row "membrane:node\/default\/a" is not a value of Keyv/],
    [
      'has more after its JSON',
      'entry/a',
      '{"value":{"revision":1,"data":{}}},{}',
      /the row "membrane:entry\/a" is not a value of Keyv/,
    ],
    [
      'is of no revision',
      'node/default/a',
      '{"value":{"data":{}}}',
      /the row "node\/default\/a" .*revision/s,
    ],
    [
      'lacks a field',
      'node/default/a',
      '{"value":{"revision":1,"data":{}}}',
      /the row "node\/default\/a" .*parent/s,
    ],
    ['has a key that no version writes', 'node/a', '{"value":{"revision":1,"data":{}}}', /must have 2 names/],
    [
      'belongs to nothing',
      'instance/default/a/default',
      JSON.stringify({
        value: {
          revision: 1,
          data: { ended: 'expired', endedAtMs: 1, tokenHash: null, attempt: 0, replacedTokenHashes: [] },
        },
      }),
      /"instance\/default\/a" belongs to no node/,
    ],
  ])('with a row that %s is refused, and the row named', async (_, key, value, message) => {
    const directory = await makeDirectory();
    const store = await openSqliteStore(directory);
    await loadAll(store);
    await store.close();
    await writeRow(directory, key, value);
    const hash = await hashOf(directory);
    expect(await refusalOf(directory)).toMatch(message);
    expect(await hashOf(directory)).toBe(hash);
  });

  it('of a newer version is left as it is', async () => {
    const directory = await makeStore();
    await writeRow(directory, 'meta', '{"value":{"format":3,"logId":"x"}}');
    const hash = await hashOf(directory);
    expect(await refusalOf(directory)).toMatch(
      /has format 3, written by a newer version; this one reads up to format 2/,
    );
    expect(await hashOf(directory)).toBe(hash);
  });

  it('cannot be where there is no directory', async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, 'file'), '');
    expect(await refusalOf(join(directory, 'file'))).toMatch(/the data directory .*file cannot be made \(E/);
  });

  it('cannot be used by a user who may only read it', async () => {
    const directory = await makeStore();
    await chmod(directory, 0o555);
    await chmod(fileOf(directory), 0o444);
    const hash = await hashOf(directory);
    // Root may write everywhere: nobody may not.
    const identity = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const child = spawn(process.execPath, [BIN, '--port', '0', '--data', directory], {
      stdio: 'pipe',
      ...identity,
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(
        /^membrane-registry: .*registry\.sqlite cannot be written: this user must be able/,
      ),
    ]);
    expect(await hashOf(directory)).toBe(hash);
    await chmod(directory, 0o755);
  });
});
