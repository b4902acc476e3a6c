import { chmod, mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import {
  claimSocketPath,
  defaultSocketDirectory,
  MAX_SOCKET_PATH_BYTES,
  prepareSocketDirectory,
  socketPath,
} from '../../src/transports/socket-path.js';
import { openSocketReceiver } from '../../src/transports/receiver.js';
import { eventually } from '../support/eventually.js';
import { FakeTaker } from '../support/fake-taker.js';
import { ask } from '../support/http.js';
import { useProcesses, type Process } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { OVEN, useTransports } from '../support/transports.js';

const OWNER = fileURLToPath(new URL('../fixtures/socket-owner.mjs', import.meta.url));
const DIES = new URL('../fixtures/dies-at.mjs', import.meta.url).href;
const makeDirectory = useTemporaryDirectories();
const processes = useProcesses();
const transports = useTransports();

const startOwner = (path: string, ...more: string[]): Process =>
  processes.start(process.execPath, [OWNER, path, ...more]);

/** One that is killed when it would call that function of `fs/promises`. */
const dieAt = async (name: string, path: string): Promise<void> => {
  const owner = processes.start(process.execPath, ['--import', DIES, OWNER, path], {
    environment: { DIES_AT: name },
  });
  await expect(owner.ended).resolves.toBe('SIGKILL');
};

const verdict = async ({ said }: Process): Promise<string> =>
  eventually('it won or lost', () => /(won|[a-z]+_[a-z]+|conflict)\n/.exec(said.stdout)?.[1]);

const whoAnswers = async (path: string): Promise<unknown> =>
  (await ask('http://localhost/message', { socketPath: path, body: '{"sender":"baker","payload":1}' })).body[
    'reply'
  ];

describe('the socket directory', () => {
  it('is made for its user alone', async () => {
    const directory = join(await makeDirectory(), 'deep', 'sockets');
    await expect(prepareSocketDirectory(directory)).resolves.toBe(directory);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    await expect(prepareSocketDirectory(directory)).resolves.toBe(directory);
  });

  it('is told by its real path', async () => {
    const root = await makeDirectory();
    await mkdir(join(root, 'real'), { mode: 0o700 });
    await symlink(join(root, 'real'), join(root, 'alias'));
    await expect(prepareSocketDirectory(join(root, 'alias'))).resolves.toBe(join(root, 'real'));
  });

  it.each([0o777, 0o1777, 0o770, 0o702])('is refused with mode %o, by words that help', async (mode) => {
    const directory = await makeDirectory();
    await chmod(directory, mode);
    await expect(prepareSocketDirectory(directory)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/can be written by other users.*MEMBRANE_SOCKET_DIR/) as string,
    });
  });

  it('is refused where it belongs to somebody else', async () => {
    const directory = await makeDirectory();
    const { getuid } = process;
    process.getuid = () => 12_345;
    await expect(prepareSocketDirectory(directory)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('belongs to another user') as string,
    });
    process.getuid = getuid!;
  });

  it('is refused where it is a file, cannot be made, or is too long', async () => {
    const root = await makeDirectory();
    await writeFile(join(root, 'file'), '');
    for (const wrong of [join(root, 'file'), join(root, 'file', 'below'), join(root, 'x'.repeat(80))]) {
      await expect(prepareSocketDirectory(wrong)).rejects.toMatchObject({ code: 'invalid_request' });
    }
  });

  it('has a default of the user', () => {
    expect(defaultSocketDirectory()).toMatch(/membrane/);
  });
});

describe('the name of a socket', () => {
  it('can be read', () => {
    expect(socketPath('/run/m', OVEN)).toBe('/run/m/oven.sock');
    expect(socketPath('/run/m', { ...OVEN, instanceId: 'b' })).toBe('/run/m/default~oven~b.sock');
    expect(socketPath('/run/m', { ...OVEN, namespace: 'shop' })).toBe('/run/m/shop~oven~default.sock');
  });

  it('is a hash where it would be too long, another one for each', () => {
    const long = (end: string): string => socketPath('/run/m', { ...OVEN, id: 'x'.repeat(110) + end });
    const paths = [
      long('a'),
      long('b'),
      socketPath('/run/m', { ...OVEN, id: 'x'.repeat(110), namespace: 'a' }),
    ];
    for (const path of paths) {
      expect(path).toMatch(/^\/run\/m\/~[0-9a-f]+\.sock$/);
      expect(Buffer.byteLength(path)).toBeLessThanOrEqual(MAX_SOCKET_PATH_BYTES);
    }
    expect(new Set(paths).size).toBe(3);
    expect(long('a')).toBe(long('a'));
  });

  it('works at the longest that is not hashed', async () => {
    const directory = await makeDirectory();
    const room = MAX_SOCKET_PATH_BYTES - directory.length - '/.sock'.length;
    const path = socketPath(directory, { ...OVEN, id: 'x'.repeat(room) });
    expect(Buffer.byteLength(path)).toBe(MAX_SOCKET_PATH_BYTES);
    transports.keep(await openSocketReceiver(path, new FakeTaker()));
    expect(socketPath(directory, { ...OVEN, id: 'x'.repeat(room + 1) })).toContain('/~');
  });
});

describe('a socket', () => {
  it('of a process that lives is left alone', async () => {
    const path = join(await makeDirectory(), 'oven.sock');
    const owner = startOwner(path);
    await expect(verdict(owner)).resolves.toBe('won');
    await expect(openSocketReceiver(path, new FakeTaker())).rejects.toMatchObject({
      code: 'conflict',
      message: `a process that lives takes messages at the socket ${path} already`,
    });
    await expect(whoAnswers(path)).resolves.toBe(owner.child.pid);
  });

  it('of a process that was killed is taken over, and nothing else is left', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'oven.sock');
    const first = startOwner(path);
    await expect(verdict(first)).resolves.toBe('won');
    first.child.kill('SIGKILL');
    await first.ended;
    await expect(readdir(directory)).resolves.toEqual(['oven.sock']);
    const second = startOwner(path);
    await expect(verdict(second)).resolves.toBe('won');
    await expect(whoAnswers(path)).resolves.toBe(second.child.pid);
    await expect(readdir(directory)).resolves.toEqual(['oven.sock']);
  });

  it('goes when its owner closes', async () => {
    const directory = await makeDirectory();
    const receiver = await openSocketReceiver(join(directory, 'oven.sock'), new FakeTaker());
    await Promise.all([receiver.close(), receiver.close()]);
    await expect(readdir(directory)).resolves.toEqual([]);
  });

  it('that took its place meanwhile is not removed', async () => {
    const path = join(await makeDirectory(), 'oven.sock');
    const first = createServer();
    const claim = await claimSocketPath(path, first);
    // As somebody does who removes sockets by hand.
    await rm(path);
    const other = startOwner(path);
    await expect(verdict(other)).resolves.toBe('won');
    await claim.release();
    first.close();
    await expect(whoAnswers(path)).resolves.toBe(other.child.pid);
  });

  it('is not made where something else is', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'oven.sock');
    await writeFile(path, 'precious');
    await expect(openSocketReceiver(path, new FakeTaker())).rejects.toMatchObject({
      message: expect.stringContaining(path) as string,
    });
    await expect(readdir(directory)).resolves.toEqual(['oven.sock']);
    await expect(
      openSocketReceiver(join(directory, 'no', 'oven.sock'), new FakeTaker()),
    ).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  it('is won by exactly one of those who start at once, after none and after a dead one', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'oven.sock');
    const starters = 4;
    for (let round = 0; round < 3; round += 1) {
      const racers = Array.from({ length: starters }, () => startOwner(path, 'wait'));
      await eventually('all are ready', () => racers.every(({ said }) => said.stdout !== ''));
      for (const { child } of racers) child.stdin?.write('go\n');
      const verdicts = await Promise.all(racers.map(verdict));
      expect([...verdicts].sort()).toEqual([...Array<string>(starters - 1).fill('conflict'), 'won']);
      const winner = racers[verdicts.indexOf('won')]!;
      await expect(whoAnswers(path)).resolves.toBe(winner.child.pid);
      await expect(readdir(directory)).resolves.toEqual(['oven.sock']);
      winner.child.kill('SIGKILL');
      await winner.ended;
    }
  });

  it('is won by exactly one of many claims at once in one process, over and over', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'oven.sock');
    for (let round = 0; round < 40; round += 1) {
      // A dead socket: closing a server does not remove the name under which it was linked.
      const dead = createServer();
      const claim = await claimSocketPath(path, dead);
      if (round % 4 === 3) await claim.release();
      dead.close();
      const servers = Array.from({ length: 8 }, () => createServer());
      const claims = await Promise.allSettled(servers.map(async (server) => claimSocketPath(path, server)));
      const won = claims.filter(({ status }) => status === 'fulfilled');
      expect(won).toHaveLength(1);
      for (const result of claims) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
        else await result.value.release();
      }
      for (const server of servers) server.close();
      await expect(readdir(directory)).resolves.toEqual([]);
    }
  });

  it('is taken over from those who died while taking it over', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'oven.sock');
    const first = startOwner(path);
    await expect(verdict(first)).resolves.toBe('won');
    first.child.kill('SIGKILL');
    await first.ended;
    // Each dies with the right to follow the one before.
    await dieAt('rename', path);
    await dieAt('rename', path);
    await expect(readdir(directory)).resolves.toHaveLength(5);
    const last = startOwner(path);
    await expect(verdict(last)).resolves.toBe('won');
    await expect(whoAnswers(path)).resolves.toBe(last.child.pid);
    const left = await readdir(directory);
    expect(left.filter((name) => !name.startsWith('.t'))).toEqual(['oven.sock']);
  });

  it('is cleared of what others left who died before they had theirs', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'oven.sock');
    await dieAt('link', path);
    const [left] = await readdir(directory);
    const receiver = transports.keep(await openSocketReceiver(path, new FakeTaker()));
    await expect(readdir(directory)).resolves.toEqual([left, 'oven.sock']);
    await receiver.close();
    const old = new Date(Date.now() - 3_600_000);
    await utimes(join(directory, left!), old, old);
    transports.keep(await openSocketReceiver(path, new FakeTaker()));
    await expect(readdir(directory)).resolves.toEqual(['oven.sock']);
  });
});
