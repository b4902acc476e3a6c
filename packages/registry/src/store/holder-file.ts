import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** In a data directory: which process serves it. */
const HOLDER_FILE = 'registry.pid';

const holderSchema = z.object({
  pid: z.int().positive(),
  /** Null until it listens. */
  url: z.string().nullable(),
});

/**
 * The process that says to serve a data directory. It only tells operators and `membrane registry stop` whom to turn
 * to: the lock itself is SQLite's, so a file left by a process that was killed does no harm.
 */
export type Holder = z.infer<typeof holderSchema>;

/** Undefined where nobody says so. */
export async function readHolder(dataDirectory: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(join(dataDirectory, HOLDER_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

export async function writeHolder(dataDirectory: string, holder: Holder): Promise<void> {
  await writeFile(join(dataDirectory, HOLDER_FILE), `${JSON.stringify(holder)}\n`);
}

export async function removeHolder(dataDirectory: string): Promise<void> {
  await rm(join(dataDirectory, HOLDER_FILE), { force: true });
}
