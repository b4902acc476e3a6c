import { randomUUID } from 'node:crypto';
import type { JsonValue } from '@membrane/protocol';
import type { Keyv } from 'keyv';
import { z } from 'zod';
import { JournalWindow, type JournalRow } from './journal-window.js';
import { OperatorError } from '../operator-error.js';
import {
  beginRun,
  JOURNAL_LIMIT,
  JOURNAL_PREFIX,
  journalKey,
  type ChangeSet,
  type MembraneStore,
  type StoreContents,
  type StoredEntry,
} from './membrane-store.js';
import { SqliteKeyv } from './sqlite-keyv.js';

/** What this version writes, and the newest it reads: from 2 on a node and its usual instance share a row. */
export const STORE_FORMAT = 2;

const META_KEY = 'meta';
const HEAD_KEY = 'head';
const REDO_KEY = 'redo';
const OWN_KEYS: ReadonlySet<string> = new Set([META_KEY, HEAD_KEY, REDO_KEY]);

const metaSchema = z.object({
  format: z.int().min(1),
  logId: z.string().min(1),
  /** Absent in what was written before there were runs. */
  runs: z.array(z.object({ id: z.string(), since: z.int().min(0) })).optional(),
});
type Meta = z.infer<typeof metaSchema>;
const headSchema = z.object({ revision: z.int().min(0) });
const rowSchema = z.object({ revision: z.int().min(1), data: z.unknown() });
/** The lines of one group in one row, since a row costs more than what is in it. */
const journalRowSchema = z.object({
  lines: z.array(z.object({ revision: z.int().min(1), data: z.unknown() })).min(1),
});
const redoSchema = z.object({
  puts: z.array(z.tuple([z.string(), z.unknown()])),
  deletes: z.array(z.string()),
});

type Row = readonly [key: string, value: JsonValue];

interface Group {
  readonly puts: readonly Row[];
  readonly deletes: readonly string[];
}

export interface KeyvStoreOptions {
  kind?: string;
  location?: string | null;
  journalLimit?: number;
}

/**
 * Keeps a registry in Keyv. Over `SqliteKeyv` a group is one transaction. Any other Keyv must keep a key that it
 * confirmed and must have an iterator; having no transactions, it gets a redo record that holds the whole group,
 * which is applied key by key, and again at load where that was cut short.
 */
export class KeyvMembraneStore implements MembraneStore {
  readonly kind: string;
  readonly location: string | null;
  readonly #keyv: Keyv;
  readonly #sqlite: SqliteKeyv | undefined;
  readonly #journal: JournalWindow;
  #revision = 0;
  /** What the next commit is to keep of the run that has begun: a load changes nothing, whatever it finds. */
  #unkeptMeta: JsonValue | undefined;
  /** A group that is durable in the redo record and not yet in its own keys. */
  #redo: Group | undefined;

  constructor(keyv: Keyv, options: KeyvStoreOptions = {}) {
    const backend: unknown = keyv.store;
    this.#sqlite = backend instanceof SqliteKeyv ? backend : undefined;
    this.kind = options.kind ?? 'keyv';
    this.location = options.location ?? null;
    this.#keyv = keyv;
    this.#journal = new JournalWindow(options.journalLimit ?? JOURNAL_LIMIT);
    if (this.#sqlite === undefined && keyv.iterator === undefined) {
      throw new OperatorError(
        'this Keyv has no iterator, so a registry could not read back what it keeps there',
      );
    }
    // By default Keyv tells of a failure by an event and answers "not found": an outage would look like an empty
    // registry.
    keyv.throwOnErrors = true;
    keyv.on('error', () => undefined);
  }

  async load(): Promise<StoreContents> {
    const damage = await this.#sqlite?.findDamage();
    if (damage !== undefined)
      throw new OperatorError(`${this.#name} is damaged: ${damage}. Nothing was changed`);
    let meta = await this.#loadMeta();
    if (this.#sqlite === undefined) {
      const redo: unknown = await this.#keyv.get(REDO_KEY);
      if (redo !== undefined) {
        this.#redo = this.#check(redoSchema, redo, REDO_KEY) as Group;
        await this.#applyRedo();
        meta = await this.#loadMeta();
      }
    }
    const head = await this.#read(headSchema, HEAD_KEY);
    this.#revision = head?.revision ?? 0;
    const { logId } = meta;
    const runs = beginRun(meta.runs, this.#revision);
    this.#unkeptMeta = { format: STORE_FORMAT, logId, runs: runs.map(({ id, since }) => ({ id, since })) };
    return { logId, runs, revision: this.#revision, entries: this.#entries() };
  }

  async commit(changeSets: readonly ChangeSet[]): Promise<{ revision: number }[]> {
    const puts: Row[] = [];
    const deletes = this.#journal.surplusKeys();
    const trimmed = [...deletes];
    const lines: { revision: number; data: JsonValue }[] = [];
    let revision = this.#revision;
    const results = changeSets.map((changeSet) => {
      revision += 1;
      for (const { key, value } of changeSet.puts) puts.push([key, { revision, data: value }]);
      deletes.push(...changeSet.deletes);
      if (changeSet.journal !== undefined) lines.push({ revision, data: changeSet.journal });
      return { revision };
    });
    const row =
      lines[0] === undefined ? undefined : { firstRevision: lines[0].revision, lines: lines.length };
    if (row !== undefined) puts.push([journalKey(row.firstRevision), { lines }]);
    puts.push([HEAD_KEY, { revision }]);
    if (this.#unkeptMeta !== undefined) puts.push([META_KEY, this.#unkeptMeta]);
    await this.#write(mergeGroup(puts, deletes, changeSets));
    this.#unkeptMeta = undefined;
    this.#revision = revision;
    this.#journal.committed(trimmed, row);
    return results;
  }

  async close(): Promise<void> {
    await this.#keyv.disconnect();
  }

  async #loadMeta(): Promise<Meta> {
    const found = await this.#read(metaSchema, META_KEY);
    if (found === undefined) {
      const meta = { format: STORE_FORMAT, logId: randomUUID(), runs: [] };
      await this.#write({ puts: [[META_KEY, meta]], deletes: [] });
      return meta;
    }
    if (found.format > STORE_FORMAT) {
      throw new OperatorError(
        `${this.#name} has format ${found.format}, written by a newer version; this one reads up to format ${STORE_FORMAT}. Nothing was changed: use the newer version, or another data directory`,
      );
    }
    return found;
  }

  async #read<Schema extends z.ZodType>(schema: Schema, key: string): Promise<z.output<Schema> | undefined> {
    const value: unknown = await this.#keyv.get(key).catch((cause: unknown) => {
      throw cause instanceof SyntaxError ? this.#damaged(key, 'is not JSON') : cause;
    });
    return value === undefined ? undefined : this.#check(schema, value, key);
  }

  async *#entries(): AsyncIterable<readonly StoredEntry[]> {
    const journal: JournalRow[] = [];
    for await (const page of this.#pages()) {
      const entries: StoredEntry[] = [];
      for (const [key, value] of page) {
        if (OWN_KEYS.has(key)) continue;
        if (key.startsWith(JOURNAL_PREFIX)) {
          const { lines } = this.#check(journalRowSchema, value, key);
          journal.push({ firstRevision: lines[0]?.revision ?? 0, lines: lines.length });
          for (const { revision, data } of lines) {
            entries.push({ key: journalKey(revision), value: data as JsonValue, revision });
          }
          continue;
        }
        const row = isRow(value) ? value : this.#check(rowSchema, value, key);
        entries.push({ key, value: row.data as JsonValue, revision: row.revision });
      }
      yield entries;
    }
    this.#journal.load(journal);
  }

  async *#pages(): AsyncIterable<readonly (readonly [string, unknown])[]> {
    if (this.#sqlite === undefined) {
      for await (const [key, value] of this.#keyv.iterator?.(undefined) ?? []) yield [[String(key), value]];
      return;
    }
    const prefix = `${this.#keyv.namespace ?? ''}:`;
    for await (const rows of this.#sqlite.pages()) {
      const page: [string, unknown][] = [];
      for (const [key, stored] of rows) {
        if (!key.startsWith(prefix)) continue;
        if (typeof stored !== 'object' || stored === null || !('value' in stored))
          throw this.#damaged(key, 'is not a value of Keyv');
        page.push([key.slice(prefix.length), stored.value]);
      }
      yield page;
    }
  }

  async #write(group: Group): Promise<void> {
    if (this.#sqlite !== undefined) {
      const prefix = `${this.#keyv.namespace ?? ''}:`;
      await this.#sqlite.transact(
        group.puts.map(([key, value]) => [prefix + key, { value }] as const),
        group.deletes.map((key) => prefix + key),
      );
      return;
    }
    await this.#applyRedo();
    await this.#set(REDO_KEY, group as unknown as JsonValue);
    this.#redo = group;
    // Durable from here on: where applying fails, the next commit or the next load goes on with it.
    await this.#applyRedo().catch(() => undefined);
  }

  async #applyRedo(): Promise<void> {
    if (this.#redo === undefined) return;
    for (const [key, value] of this.#redo.puts) await this.#set(key, value);
    for (const key of this.#redo.deletes) await this.#keyv.delete(key);
    await this.#keyv.delete(REDO_KEY);
    this.#redo = undefined;
  }

  async #set(key: string, value: JsonValue): Promise<void> {
    if (!(await this.#keyv.set(key, value)))
      throw new OperatorError(`${this.#name} did not take the key ${key}`);
  }

  #check<Schema extends z.ZodType>(schema: Schema, value: unknown, key: string): z.output<Schema> {
    const result = schema.safeParse(value);
    if (!result.success) throw this.#damaged(key, z.prettifyError(result.error));
    return result.data;
  }

  #damaged(key: string, fault: string): OperatorError {
    return new OperatorError(`${this.#name} is damaged: the row "${key}" ${fault}. Nothing was changed`);
  }

  get #name(): string {
    return this.location ?? `the ${this.kind} store`;
  }
}

/** As the schema of a row, which takes ten times as long. */
function isRow(value: unknown): value is z.infer<typeof rowSchema> {
  if (typeof value !== 'object' || value === null || !('data' in value) || !('revision' in value))
    return false;
  return Number.isSafeInteger(value.revision) && (value.revision as number) > 0;
}

/** What the group leaves: of a key written several times the last, and no delete of a key written after it. */
function mergeGroup(
  puts: readonly Row[],
  deletes: readonly string[],
  changeSets: readonly ChangeSet[],
): Group {
  if (changeSets.length < 2 || deletes.length === 0) return { puts, deletes };
  const gone = new Set(deletes);
  const left = new Map(puts);
  for (const { puts: written, deletes: deleted } of changeSets) {
    for (const { key } of written) gone.delete(key);
    for (const key of deleted) gone.add(key);
  }
  for (const key of gone) left.delete(key);
  return { puts: [...left], deletes: [...gone] };
}
