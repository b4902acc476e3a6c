import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { link, lstat, mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { createConnection, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DEFAULT_INSTANCE_ID, DEFAULT_NAMESPACE, MembraneError } from '@membrane/protocol';
import type { ReceiverName } from './receiver-name.js';

/** The path of a Unix socket has 104 bytes on macOS, 108 on Linux, and ends with a zero. */
export const MAX_SOCKET_PATH_BYTES = 103;

const HASH_CHARACTERS = 20;
/** Directories that are longer leave no room for a hashed name. */
const MAX_DIRECTORY_BYTES = MAX_SOCKET_PATH_BYTES - '/~.sock'.length - HASH_CHARACTERS;
const WRITABLE_BY_OTHERS = 0o022;
/** Rounds of a claim, for a path that others make and remove meanwhile. */
const MAX_ROUNDS = 20;
/** Names of those who have not got their path yet. One who died then leaves its own, that is old when it is removed. */
const OWN_NAME = /^\.t[0-9a-f]{16}$/;
const OLD_MS = 60_000;

/** One user's sockets: in the runtime directory of the session where there is one. */
export function defaultSocketDirectory(): string {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  if (runtime) return join(runtime, 'membrane');
  return join(tmpdir(), `membrane-${process.getuid?.() ?? 'sockets'}`);
}

/**
 * Makes the directory where it is missing (mode 0700), and makes sure that nobody else can put sockets there.
 * @returns its real path.
 * @throws MembraneError `invalid_request` where it is somebody else's, others may write there, or its path is too long.
 */
export async function prepareSocketDirectory(directory: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): MembraneError =>
    new MembraneError(
      'invalid_request',
      `the socket directory ${directory} ${why}; name another by socketDirectory or MEMBRANE_SOCKET_DIR`,
      { cause },
    );
  let path;
  let found;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    path = await realpath(directory);
    found = await stat(path);
  } catch (cause) {
    throw refuse(`cannot be made (${(cause as Error).message})`, cause);
  }
  if (!found.isDirectory()) throw refuse('is no directory');
  if (process.getuid !== undefined && found.uid !== process.getuid()) throw refuse('belongs to another user');
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0)
    throw refuse('can be written by other users (chmod 700 mends that)');
  if (Buffer.byteLength(path) > MAX_DIRECTORY_BYTES) {
    throw refuse(`has a path of more than ${MAX_DIRECTORY_BYTES} bytes, too long for sockets in it`);
  }
  return path;
}

/** The socket of a client: readable where the system has room for it. A tilde is in no name, so no two are alike. */
export function socketPath(directory: string, { namespace, id, instanceId }: ReceiverName): string {
  const isPlain = namespace === DEFAULT_NAMESPACE && instanceId === DEFAULT_INSTANCE_ID;
  const name = isPlain ? id : `${namespace}~${id}~${instanceId}`;
  const path = join(directory, `${name}.sock`);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  return join(directory, `~${hash(name)}.sock`);
}

export interface SocketClaim {
  /** Removes the socket's name, if it is still this one's. The server goes on listening for those connected. */
  release(): Promise<void>;
}

/**
 * Lets a server listen at a path. Of several who want it, exactly one gets it, however they race: each listens under a
 * name of its own first and then links that to the path, which fails where there is something. A socket that refuses
 * connections is a dead process's, and is replaced by the one who holds the right to follow that very socket: a link
 * whose name is made from its inode. Who died with such a right in hand is followed in the same way. Whoever listens
 * can be seen to live at once, so no lock needs an age.
 * @throws MembraneError `conflict` where a process that lives has the path; `invalid_request` where the socket cannot
 * be made.
 */
export async function claimSocketPath(path: string, server: Server): Promise<SocketClaim> {
  const own = join(dirname(path), `.t${randomBytes(8).toString('hex')}`);
  try {
    server.listen(own);
    await once(server, 'listening');
  } catch (cause) {
    throw new MembraneError(
      'invalid_request',
      `the socket ${path} cannot be made: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  server.on('error', () => undefined);
  try {
    await takePath(path, own);
  } finally {
    await rm(own, { force: true });
  }
  await sweep(dirname(path));
  const identity = await identify(path);
  return {
    release: async () => {
      if ((await identify(path)) === identity) await rm(path, { force: true });
    },
  };
}

async function takePath(path: string, own: string): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    if (await tryLink(own, path)) return;
    const dead = await findDead(path, path);
    if (dead === undefined) continue;
    if (await follow(path, dead, own)) return;
  }
  throw new MembraneError('conflict', `others keep making and removing the socket ${path}`);
}

/** Takes the place of a dead socket, unless another one does. */
async function follow(path: string, dead: string, own: string): Promise<boolean> {
  const chain = [{ name: path, identity: dead }];
  let right: string | undefined;
  try {
    for (let last = dead; right === undefined;) {
      const name = join(dirname(path), `.f${hash(`${path} ${last}`)}`);
      if (await tryLink(own, name)) right = name;
      else {
        const identity = await findDead(name, path);
        if (identity === undefined) return false;
        chain.push({ name, identity });
        last = identity;
      }
    }
    // Who had the right before may have used it, and given it back, between the look and the link.
    for (const { name, identity } of chain) if ((await identify(name)) !== identity) return false;
    await rename(own, path);
    for (const { name } of chain.slice(1)) await rm(name, { force: true });
    return true;
  } finally {
    if (right !== undefined) await rm(right, { force: true });
  }
}

/**
 * Which dead socket is there; undefined where there is nothing any more.
 * @throws MembraneError `conflict` where it is no dead socket.
 */
async function findDead(path: string, wanted: string): Promise<string | undefined> {
  const identity = await identify(path);
  if (identity === undefined) return undefined;
  // A file refuses connections too.
  if ((await lstat(path).catch(() => undefined))?.isSocket() === false) throw noSocket(path);
  switch (await probe(path)) {
    case 'absent':
      return undefined;
    case 'alive':
      throw new MembraneError(
        'conflict',
        `a process that lives takes messages at the socket ${wanted} already`,
      );
    case 'dead':
      return (await identify(path)) === identity ? identity : undefined;
  }
}

async function probe(path: string): Promise<'alive' | 'dead' | 'absent'> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
    return 'alive';
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED') return 'dead';
    if (code === 'ENOENT') return 'absent';
    // Its queue of connections is full.
    if (code === 'EAGAIN') return 'alive';
    throw noSocket(path, cause);
  } finally {
    socket.destroy();
  }
}

function noSocket(path: string, cause?: unknown): MembraneError {
  return new MembraneError('conflict', `there is something at ${path} that is no socket of this user`, {
    cause,
  });
}

async function tryLink(existing: string, name: string): Promise<boolean> {
  try {
    await link(existing, name);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new MembraneError(
      'invalid_request',
      `the socket ${name} cannot be made: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

/** Removes what those left who died between listening and having their path. */
async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!OWN_NAME.test(name)) continue;
    const path = join(directory, name);
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined || Date.now() - found.mtimeMs < OLD_MS) continue;
    if ((await probe(path)) === 'dead') await rm(path, { force: true });
  }
}

/** Of a file as long as it exists, and of none after it: links and renames do not change it. */
async function identify(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.dev}:${found.ino}:${found.mtimeNs}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS);
}
