import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  readBootId,
  socketRealm,
  SOCKETS_MARKER,
  VOLUME_MARKER,
  volumeRealm,
} from '../../src/transports/realm.js';
import { useProcesses } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();
const { start } = useProcesses();
const REALM = new URL('../../dist/transports/realm.js', import.meta.url).href;

describe('the realm of a shared volume', () => {
  it('is one for all who see the directory, under whatever path', async () => {
    const directory = await makeDirectory();
    const elsewhere = join(await makeDirectory(), 'mounted');
    await symlink(directory, elsewhere);
    const realm = await volumeRealm(directory);
    expect(realm).toMatch(/^[0-9a-f]{32}$/);
    expect(await volumeRealm(elsewhere)).toBe(realm);
    expect(await volumeRealm(await makeDirectory())).not.toBe(realm);
  });

  it('makes the root where it is missing', async () => {
    const root = join(await makeDirectory(), 'state', 'membrane');
    expect(await volumeRealm(root)).toBe((await readFile(join(root, VOLUME_MARKER), 'utf8')).trim());
  });

  it('is one for processes that start at once, and leaves nothing but its file', async () => {
    const directory = await makeDirectory();
    const code = `
      import { volumeRealm } from ${JSON.stringify(REALM)};
      const realms = await Promise.all(Array.from({ length: 20 }, () => volumeRealm(${JSON.stringify(directory)})));
      console.log(realms.join('\\n'));`;
    const starters = Array.from({ length: 4 }, () =>
      start(process.execPath, ['--input-type=module', '-e', code]),
    );
    await Promise.all(starters.map(({ ended }) => ended));
    const told = starters.flatMap(({ said }) => said.stdout.trim().split('\n'));
    expect(told).toHaveLength(80);
    expect(new Set(told).size).toBe(1);
    expect(await readdir(directory)).toEqual([VOLUME_MARKER]);
  });

  it.each([
    ['garbage', 'an apple a day keeps the doctor away'],
    ['half an id', '0123456789abcdef'],
    ['an id and more', `${'0'.repeat(32)}\n1`],
  ])('is refused where the file holds %s, and the file is named', async (_, content) => {
    const directory = await makeDirectory();
    const path = join(directory, VOLUME_MARKER);
    await writeFile(path, content);
    const error = { code: 'invalid_request', message: expect.stringContaining(path) as unknown };
    await expect(volumeRealm(directory)).rejects.toMatchObject(error);
    expect(await readFile(path, 'utf8')).toBe(content);
  });

  it('waits for a file that somebody is writing', async () => {
    const directory = await makeDirectory();
    const path = join(directory, VOLUME_MARKER);
    await writeFile(path, '');
    const realm = volumeRealm(directory);
    await writeFile(path, `${'ab'.repeat(16)}\n`);
    expect(await realm).toBe('ab'.repeat(16));
  });

  it('is refused where the place of the file is taken by a directory', async () => {
    const directory = await makeDirectory();
    await mkdir(join(directory, VOLUME_MARKER));
    await expect(volumeRealm(directory)).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('the realm of a socket directory', () => {
  const bootOf = (id: string) => () => Promise.resolve(id);

  it('is one on one host, and another on a host that shares the disk', async () => {
    const directory = await makeDirectory();
    const realm = await socketRealm(directory, bootOf('monday'));
    expect(realm).toMatch(/^[0-9a-f]{32}$/);
    expect(await socketRealm(directory, bootOf('monday'))).toBe(realm);
    expect(await socketRealm(directory, bootOf('tuesday'))).not.toBe(realm);
    expect(await socketRealm(directory)).not.toBe(realm);
  });

  it('differs between directories of one host, unless one is a copy', async () => {
    const directory = await makeDirectory();
    const copy = join(await makeDirectory(), 'copy');
    const realm = await socketRealm(directory);
    await cp(directory, copy, { recursive: true });
    expect(await socketRealm(copy)).toBe(realm);
    expect(await socketRealm(await makeDirectory())).not.toBe(realm);
    expect(await readdir(directory)).toEqual([SOCKETS_MARKER]);
  });

  it('knows a boot also where the system has no id for it', async () => {
    const missing = join(await makeDirectory(), 'boot_id');
    const bootId = await readBootId(missing);
    expect(bootId).not.toBe('');
    expect(await readBootId(missing)).toBe(bootId);
    expect(await readBootId()).not.toBe(bootId);
  });
});
