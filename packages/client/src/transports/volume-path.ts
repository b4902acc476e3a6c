import { lstat, realpath } from 'node:fs/promises';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { MembraneError } from '@membrane/protocol';
import { isMissing } from '../messaging/durable-files.js';

/** A directory that messages may be put into. */
export interface VolumeInbox {
  /** Real path: no link is left in it. */
  readonly directory: string;
  /** False for a receiver that takes `msg_*.json` in the directory itself. */
  readonly isMaildir: boolean;
}

const NAME = '[A-Za-z0-9][A-Za-z0-9._:@-]*';
/** Where a volume that is mounted elsewhere has its inboxes, below its root. */
const BELOW_ROOT = new RegExp(`/((?:namespaces/${NAME}/)?inbox/${NAME})$`);
const MAX_SHOWN_CHARACTERS = 200;

/**
 * The directory that a registry names, as seen from here; nothing outside the own root is ever used, nor looked at.
 * @param isSameVolume the receiver named this volume: a directory outside is looked for at the same place below the root,
 * since the receiver may have mounted the volume elsewhere. Without its word that could be the inbox of somebody else.
 * @throws MembraneError `forbidden` where it leads out of the root; `not_delivered` where there is no such directory.
 */
export async function findVolumeInbox(
  address: string,
  root: string,
  isSameVolume: boolean,
): Promise<VolumeInbox> {
  const forbid = (why: string): MembraneError =>
    new MembraneError('forbidden', `the directory ${shorten(address)} is not used: ${why}`);
  if (!isAbsolute(address) || address.includes('\0')) throw forbid('it is no absolute path');
  const realRoot = await follow(root, address);
  const roots = [resolve(root), realRoot];
  const path = findBelow(address, roots) ?? (isSameVolume ? findOnVolume(address) : undefined);
  if (path === undefined) {
    const elsewhere = isSameVolume ? 'no inbox of a volume' : 'its receiver names no volume';
    throw forbid(`it is not in the shared root ${root}, and ${elsewhere} that is mounted elsewhere`);
  }
  const directory = await follow(join(realRoot, path), address);
  if (!directory.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) {
    throw forbid(`it leads out of the shared root ${root}`);
  }
  const [found, waiting] = await Promise.all([kindOf(directory), kindOf(join(directory, 'new'))]);
  if (found !== 'directory') throw new MembraneError('not_delivered', `${shorten(address)} is no directory`);
  if (waiting === 'other') throw forbid('its part "new" is no directory of its own');
  if (waiting === 'directory' && (await kindOf(join(directory, 'tmp'))) === 'other') {
    throw forbid('its part "tmp" is no directory of its own');
  }
  return { directory, isMaildir: waiting === 'directory' };
}

/** The path below the root; undefined where it is not there. */
function findBelow(address: string, roots: readonly string[]): string | undefined {
  const path = resolve(address);
  for (const root of roots) {
    if (path.startsWith(root.endsWith(sep) ? root : root + sep)) return path.slice(root.length);
  }
  return undefined;
}

/** The path of an inbox below the root of whoever made it; undefined where it is not of that form. */
function findOnVolume(address: string): string | undefined {
  return BELOW_ROOT.exec(resolve(address))?.[1];
}

async function follow(path: string, address: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    const why = isMissing(cause) ? 'there is no such directory' : (cause as Error).message;
    throw new MembraneError('not_delivered', `nothing can be put into ${shorten(address)}: ${why}`, {
      cause,
    });
  }
}

async function kindOf(path: string): Promise<'directory' | 'other' | 'missing'> {
  try {
    return (await lstat(path)).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if (isMissing(error)) return 'missing';
    throw new MembraneError('not_delivered', `nothing can be put there: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
}
