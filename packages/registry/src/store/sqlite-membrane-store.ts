import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Keyv } from 'keyv';
import { readHolder, writeHolder } from './holder-file.js';
import { KeyvMembraneStore, type KeyvStoreOptions } from './keyv-membrane-store.js';
import { OperatorError } from '../operator-error.js';
import type { MembraneStore } from './membrane-store.js';
import { SqliteKeyv } from './sqlite-keyv.js';

/** The database in a data directory. */
const DATABASE_FILE = 'registry.sqlite';

/**
 * Opens the store of a data directory, which is made where it is missing, and takes it for this process.
 * @throws OperatorError where another process holds it, or where it cannot be read or written; nothing is changed then.
 */
export async function openSqliteStore(
  dataDirectory: string,
  options: Pick<KeyvStoreOptions, 'journalLimit'> = {},
): Promise<MembraneStore> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new OperatorError(
      `the data directory ${dataDirectory} cannot be made (${String((cause as NodeJS.ErrnoException).code)}); choose another with --data or MEMBRANE_REGISTRY_DATA`,
      { cause },
    );
  });
  const file = join(dataDirectory, DATABASE_FILE);
  const backend = new SqliteKeyv(file);
  try {
    await backend.lock();
    await backend.useWriteAheadLog();
    await writeHolder(dataDirectory, { pid: process.pid, url: null });
  } catch (error) {
    await backend.close().catch(() => undefined);
    throw isBusy(error) ? await describeHolder(dataDirectory, error) : error;
  }
  const keyv = new Keyv({
    store: backend,
    namespace: 'membrane',
    serialize: JSON.stringify,
    deserialize: JSON.parse,
  });
  return new KeyvMembraneStore(keyv, { ...options, kind: 'sqlite', location: file });
}

function isBusy(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown } };
  return cause?.code === 'SQLITE_BUSY';
}

async function describeHolder(dataDirectory: string, cause: unknown): Promise<OperatorError> {
  const holder = await readHolder(dataDirectory);
  const who =
    holder === undefined
      ? 'another process'
      : `process ${holder.pid}${holder.url === null ? '' : `, the registry at ${holder.url}`}`;
  return new OperatorError(
    `${join(dataDirectory, DATABASE_FILE)} is in use by ${who}; stop it, or choose another directory with --data or MEMBRANE_REGISTRY_DATA`,
    { cause },
  );
}
