import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import type { MessageTaker } from '../../src/messaging/message-taker.js';
import { Maildir } from '../../src/transports/maildir.js';
import {
  SharedVolumeInbox,
  type SharedVolumeInboxOptions,
} from '../../src/transports/shared-volume-inbox.js';
import {
  SharedVolumeTransport,
  type SharedVolumeTransportOptions,
} from '../../src/transports/shared-volume-transport.js';
import type { RouteAddress } from '../../src/transports/transport.js';
import { FakeTaker } from './fake-taker.js';
import { useTemporaryDirectories } from './temporary-directory.js';

export interface Volume {
  readonly root: string;
  /** An inbox in it. */
  readonly directory: string;
  readonly to: RouteAddress;
}

/** Shared volumes, with inboxes and transports that are stopped when the test is over. */
export function useVolumes() {
  const opened: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((close) => close()));
  });
  // After that, since what is open writes there.
  const makeDirectory = useTemporaryDirectories();

  const makeVolume = async ({ isMaildir = true } = {}): Promise<Volume> => {
    const root = await makeDirectory();
    const directory = join(root, 'inbox', 'oven');
    await mkdir(directory, { recursive: true });
    if (isMaildir) await new Maildir(directory).make();
    return { root, directory, to: { kind: 'shared-volume', address: directory } };
  };

  const openInbox = (
    directory: string,
    taker: MessageTaker = new FakeTaker(),
    options: Partial<SharedVolumeInboxOptions> = {},
  ): SharedVolumeInbox => {
    const inbox = new SharedVolumeInbox({
      directory,
      taker,
      clock: systemClock,
      pollIntervalMs: 20,
      ...options,
    });
    opened.push(() => inbox.stop());
    return inbox;
  };

  const openTransport = (
    root: string,
    options: Partial<SharedVolumeTransportOptions> = {},
  ): SharedVolumeTransport => {
    const transport = new SharedVolumeTransport({ root, clock: systemClock, ...options });
    opened.push(() => transport.close());
    return transport;
  };

  return { makeDirectory, makeVolume, openInbox, openTransport };
}

/** Names of what is in a part of an inbox, in order; without hidden files. */
export async function namesIn(directory: string, part = ''): Promise<string[]> {
  return (await readdir(join(directory, part))).filter((name) => !name.startsWith('.')).sort();
}

export async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8')) as unknown;
}

/** Why each dead letter is one. */
export async function causesIn(directory: string): Promise<string[]> {
  const names = (await namesIn(directory, 'dead')).filter((name) => name.endsWith('.cause'));
  const causes = await Promise.all(names.map((name) => readJson(join(directory, 'dead', name))));
  return causes.map((cause) => (cause as { code: string }).code);
}
