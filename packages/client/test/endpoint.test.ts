import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findInbox, makeInbox } from '../src/endpoint.js';
import { Realms } from '../src/messaging/realms.js';
import { parseClientOptions } from '../src/options.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

const OVEN = { id: 'oven', namespace: 'default', instanceId: 'default' };

const environment = { ...process.env };
afterEach(() => {
  process.env = { ...environment };
});

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

describe('the root in the state directory of the user', () => {
  it.each([
    ['an inbox', () => makeInbox({ ...OVEN, sharedRoot: undefined })],
    ['its realm', () => new Realms(parseClientOptions('oven')).ofVolume()],
  ])('is of that user alone where it is made for %s', async (_, work) => {
    const state = await makeDirectory();
    process.env['XDG_STATE_HOME'] = state;
    // Where the convention has its place, that one is used.
    const isShared = await findInbox({ ...OVEN, sharedRoot: undefined });
    if (!isShared.startsWith(state)) return;
    await work();
    expect(await modeOf(join(state, 'membrane', 'communication'))).toBe(0o700);
  });

  it('has the mode of the umask where it was named', async () => {
    const directory = await makeDirectory();
    const sharedRoot = join(directory, 'shared');
    await makeInbox({ ...OVEN, sharedRoot });
    await mkdir(join(directory, 'as-it-comes'));
    expect(await modeOf(sharedRoot)).toBe(await modeOf(join(directory, 'as-it-comes')));
  });
});

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
