import { KeyvSqlite } from '@keyv/sqlite';
import type { JsonValue } from '@membrane/protocol';
import { OperatorError } from '../operator-error.js';

/** Of rows as they usually are, 2 MB. */
const PAGE_ROWS = 5_000;
/** More is not read at once, lest it stall everybody or be longer than a text can be. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** So many times fewer rows are tried where they are larger than that. */
const PAGE_STEP = 8;

type StoredRow = readonly [key: string, stored: { readonly value: JsonValue }];

/** SQLite gives up waiting for another process's lock after this. */
const BUSY_TIMEOUT_MS = 1_000;

/**
 * `@keyv/sqlite` with the three things a registry needs and it lacks: several rows in one transaction, reading a
 * whole table at a fair pace, and a file that belongs to one process.
 */
export class SqliteKeyv extends KeyvSqlite {
  constructor(file: string) {
    super({ uri: `sqlite://${file}`, busyTimeout: BUSY_TIMEOUT_MS });
    // Every failure also rejects the query that met it; without a listener the event would end the process.
    this.on('error', () => undefined);
    const query = this.query;
    this.query = (sql, ...parameters) =>
      query(sql, ...parameters).catch((error: unknown) => {
        throw explain(error, file);
      });
  }

  /**
   * Takes the file for this process until it closes it or dies: SQLite's exclusive lock, which the kernel drops
   * with the process. Fails with `SQLITE_BUSY` where another holds it. Changes nothing in the file.
   */
  async lock(): Promise<void> {
    await this.query('PRAGMA locking_mode=EXCLUSIVE');
    await this.query('BEGIN IMMEDIATE');
    await this.query('ROLLBACK');
  }

  /** A commit is on disk when it returns: readers and writers do not wait for each other meanwhile. */
  async useWriteAheadLog(): Promise<void> {
    await this.query('PRAGMA journal_mode=WAL');
    await this.query('PRAGMA synchronous=FULL');
  }

  /** The first fault that SQLite finds in the structure of the file, or undefined. */
  async findDamage(): Promise<string | undefined> {
    const rows = (await this.query('PRAGMA quick_check(1)')) as { quick_check: string }[];
    const result = rows[0]?.quick_check;
    return result === 'ok' ? undefined : (result ?? 'no answer');
  }

  /** All of it or nothing. Values are what Keyv stores, as `{ value }`. */
  async transact(puts: readonly StoredRow[], deletes: readonly string[]): Promise<void> {
    if (deletes.length === 0) {
      // One statement is a transaction of its own: one trip to SQLite instead of three.
      await this.#upsert(puts);
      return;
    }
    await this.query('BEGIN IMMEDIATE');
    try {
      await this.#upsert(puts);
      await this.query(
        `DELETE FROM ${this.#table} WHERE key IN (SELECT value FROM json_each(?))`,
        JSON.stringify(deletes),
      );
      await this.query('COMMIT');
    } catch (error) {
      // SQLite has rolled back by itself after some errors; then there is nothing to roll back.
      await this.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  /** Every row, in pages; of a value that is not JSON, undefined in its place. */
  async *pages(): AsyncIterable<readonly (readonly [key: string, value: unknown])[]> {
    for (let after = Number.MIN_SAFE_INTEGER; ;) {
      const page = `FROM ${this.#table} WHERE rowid > ? ORDER BY rowid LIMIT ${await this.#rowsOfPage(after)}`;
      // A page as one text: what a row costs on its way here is more than what its parsing does.
      const [found] = (await this.query(
        `SELECT max(rowid) AS last, count(*) AS count,
         '[' || group_concat('[' || json_quote(key) || ',' || value || ']') || ']' AS text
         FROM (SELECT rowid, key, value ${page})`,
        after,
      )) as { last: number | null; count: number; text: string | null }[];
      if (found?.last == null) return;
      const rows = parsePage(found.text, found.count);
      if (rows === undefined) {
        const single = (await this.query(`SELECT key, value ${page}`, after)) as {
          key: string;
          value: string;
        }[];
        yield single.map(({ key, value }) => [key, parseOne(value)] as const);
      } else {
        yield rows;
      }
      after = found.last;
    }
  }

  /** How many rows after a row id are of `MAX_PAGE_BYTES` together, by steps; at least one. */
  async #rowsOfPage(after: number): Promise<number> {
    for (let rows = PAGE_ROWS; ; rows = Math.ceil(rows / PAGE_STEP)) {
      if (rows === 1) return rows;
      const [found] = (await this.query(
        `SELECT sum(octet_length(value)) AS bytes
         FROM (SELECT value FROM ${this.#table} WHERE rowid > ? ORDER BY rowid LIMIT ${rows})`,
        after,
      )) as { bytes: number | null }[];
      if ((found?.bytes ?? 0) <= MAX_PAGE_BYTES) return rows;
    }
  }

  /** One text for all, from which SQLite takes each value as it stands there: text within text would cost more than half. */
  async #upsert(puts: readonly StoredRow[]): Promise<void> {
    await this.query(
      `INSERT INTO ${this.#table} (key, value)
       SELECT value ->> 0, value -> 1 FROM json_each(?) WHERE true
       ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
      JSON.stringify(puts),
    );
  }

  get #table(): string {
    return String(this.opts.table);
  }
}

/** Undefined where a value in it is not JSON: one with a comma or a bracket too many makes more of itself. */
function parsePage(text: string | null, count: number): (readonly [string, unknown])[] | undefined {
  const rows = parseOne(text ?? '') as (readonly [string, unknown])[] | undefined;
  if (rows?.length !== count) return undefined;
  // The type says two, a damaged file what it likes.
  return rows.every(({ length }: readonly unknown[]) => length === 2) ? rows : undefined;
}

function parseOne(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const EXPLANATIONS: Record<string, string> = {
  SQLITE_BUSY: 'is in use by another process',
  SQLITE_CANTOPEN:
    'cannot be opened: its directory must exist, and this user must be able to read and write it',
  SQLITE_CORRUPT: 'is damaged; nothing was changed. Restore it from a backup, or move it away to start empty',
  SQLITE_FULL: 'cannot grow: the disk is full',
  SQLITE_NOTADB: 'is not an SQLite database; nothing was changed. Move it away, or choose another directory',
  SQLITE_PERM: 'cannot be written: this user must be able to read and write it and its directory',
  SQLITE_READONLY: 'cannot be written: this user must be able to read and write it and its directory',
};

function explain(error: unknown, file: string): OperatorError {
  const code = String((error as { code?: unknown }).code);
  const detail = EXPLANATIONS[code] ?? `failed: ${error instanceof Error ? error.message : String(error)}`;
  return new OperatorError(`${file} ${detail}`, { cause: error });
}
