import { createHash, randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MembraneError } from '@membrane/protocol';
import { isMissing, makeDirectory, syncDirectory, systemCodeOf } from '../messaging/durable-files.js';

/** The files that tell whether two membranes see one directory. */
export const VOLUME_MARKER = '.membrane-volume';
export const SOCKETS_MARKER = '.membrane-sockets';

const MARKER = /^[0-9a-f]{32}\n?$/;
const ID_BYTES = 16;
/** Of a realm that is a hash; the wire allows 63. */
const HASH_CHARACTERS = 32;
/** Without hard links a marker is written in place: who finds it unfinished looks again for a second. */
const LOOKS = 20;
const LOOK_MS = 50;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
/** Where the system has no id of its boot: the time of it, as coarse as clocks are set right. */
const BOOT_TIME_GRAIN_S = 600;

/**
 * The realm of a shared volume: an id in a file at its root, which is made (with the root) where it is missing. All who
 * mount the volume read the same one. A copy of the volume has the id too: remove the file from the copy.
 * @param mode of the root where it is made; without it, what the umask leaves
 * @throws MembraneError `invalid_request` where the file can neither be read nor made, or holds something else.
 */
export function volumeRealm(root: string, mode?: number): Promise<string> {
  return readMarker(root, VOLUME_MARKER, 'shared volume', mode);
}

/**
 * The realm of a socket directory: the id in it, together with the boot of this host. Containers that mount the
 * directory on one host share it; hosts that share a disk do not, since a socket connects nobody across hosts.
 * @throws MembraneError `invalid_request` as {@link volumeRealm}
 */
export async function socketRealm(
  directory: string,
  bootId: () => Promise<string> = readBootId,
): Promise<string> {
  const id = await readMarker(directory, SOCKETS_MARKER, 'socket directory', 0o700);
  return createHash('sha256')
    .update(`${id} ${await bootId()}`)
    .digest('hex')
    .slice(0, HASH_CHARACTERS);
}

/** Differs from boot to boot and from host to host. Source: random(4). */
export async function readBootId(file = BOOT_ID_FILE): Promise<string> {
  const id = await readFile(file, 'utf8').catch(() => '');
  if (id.trim() !== '') return id.trim();
  const bootedAtS = Date.now() / 1_000 - uptime();
  return `${hostname()} ${Math.round(bootedAtS / BOOT_TIME_GRAIN_S)}`;
}

async function readMarker(directory: string, name: string, what: string, mode?: number): Promise<string> {
  const path = join(directory, name);
  try {
    const found = await look(path);
    if (found !== undefined) return found;
    await makeDirectory(directory, { mode });
    await place(directory, path, `${randomBytes(ID_BYTES).toString('hex')}\n`);
    const made = await look(path);
    if (made !== undefined) return made;
  } catch (cause) {
    throw new MembraneError(
      'invalid_request',
      `the ${what} ${directory} cannot be used: ${(cause as Error).message}`,
      { cause },
    );
  }
  throw new MembraneError('invalid_request', `the ${what} ${directory} cannot be used: ${path} was removed`);
}

/** Undefined where there is none. */
async function look(path: string): Promise<string | undefined> {
  for (let looks = 0; looks < LOOKS; looks += 1) {
    let content: string;
    try {
      content = await readFile(path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    if (MARKER.test(content)) return content.trim();
    // Longer than a marker, or of other characters: it does not become one.
    if (!/^[0-9a-f]{0,31}$/.test(content)) break;
    await sleep(LOOK_MS);
  }
  throw new Error(`${path} holds no id of 32 hexadecimal digits; who removes it gives the place a new one`);
}

/** Of several who start at once one wins, and all agree: a link fails where there is something. */
async function place(directory: string, path: string, content: string): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await write(temporary, content);
    await link(temporary, path);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'EEXIST') return;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
    // A volume without hard links, as some hosts share with their virtual machines.
    await write(path, content).catch((failure: unknown) => {
      if (systemCodeOf(failure) !== 'EEXIST') throw failure;
    });
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
  await syncDirectory(directory);
}

async function write(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
