import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../src/messaging/durable-files.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeTemporary = useTemporaryDirectories();

const failing = (code: string) => async (): Promise<void> => {
  await Promise.reject(Object.assign(new Error(code), { code, syscall: 'fsync' }));
};

describe('a directory that is made', () => {
  it('has each new name synced in its parent, the deepest first', async () => {
    const root = await makeTemporary();
    await mkdir(join(root, 'state'));
    const synced: string[] = [];
    const sync = (directory: string): Promise<void> => {
      synced.push(directory);
      return Promise.resolve();
    };
    const directory = join(root, 'state', 'membrane', 'inbox', 'oven');
    await makeDirectory(directory, { sync });
    expect((await stat(directory)).isDirectory()).toBe(true);
    expect(synced).toEqual([
      join(root, 'state', 'membrane', 'inbox'),
      join(root, 'state', 'membrane'),
      join(root, 'state'),
    ]);
    await makeDirectory(directory, { sync });
    expect(synced).toHaveLength(3);
  });

  it('has the mode that was asked for, with all that was missing above it', async () => {
    const root = await makeTemporary();
    await makeDirectory(join(root, 'state', 'membrane'), { mode: 0o700 });
    for (const path of ['state', 'state/membrane']) {
      expect((await stat(join(root, path))).mode & 0o777).toBe(0o700);
    }
  });

  it('serves also where its parent cannot be read, or is on a disk that syncs no directory', async () => {
    const root = await makeTemporary();
    for (const code of ['EACCES', 'EINVAL']) await makeDirectory(join(root, code), { sync: failing(code) });
    await expect(makeDirectory(join(root, 'EIO'), { sync: failing('EIO') })).rejects.toMatchObject({
      code: 'EIO',
    });
  });

  it('is refused with what the file system says', async () => {
    const file = join(await makeTemporary(), 'file');
    await writeFile(file, '');
    await expect(makeDirectory(join(file, 'oven'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
