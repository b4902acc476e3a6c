import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findInbox, makeInbox } from '../src/endpoint.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

const OVEN = { id: 'oven', namespace: 'default', instanceId: 'default' };

describe('an inbox', () => {
  it.each([
    [{}, 'inbox/oven'],
    [{ instanceId: '2' }, 'inbox/oven@2'],
    [{ namespace: 'bakery' }, 'namespaces/bakery/inbox/oven'],
  ])('of %j is %s below the root, and made only where it is asked for', async (given, path) => {
    const sharedRoot = await makeDirectory();
    const owner = { ...OVEN, ...given, sharedRoot };
    expect(await findInbox(owner)).toBe(join(sharedRoot, path));
    expect(await readdir(sharedRoot)).toEqual([]);
    expect(await makeInbox(owner)).toBe(join(sharedRoot, path));
    expect((await stat(join(sharedRoot, path))).isDirectory()).toBe(true);
  });
});
