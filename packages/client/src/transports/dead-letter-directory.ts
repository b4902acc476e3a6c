import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMembraneError, LIMITS, MembraneError } from '@membrane/protocol';
import type { DeadLetterChange, DeadLetterInfo, DeadLetterPlace } from '../messaging/dead-letters.js';
import { guardFiles, isMissing } from '../messaging/durable-files.js';
import type { KnownEnvelope } from '../messaging/message.js';
import { DurableWriter } from './durable-writer.js';
import { CAUSE_SUFFIX, Maildir } from './maildir.js';
import { messageFileName } from './maildir-name.js';
import { readMessageFile, tryReadEnvelope } from './volume-message.js';

/** The time limit of those put back. */
export const REQUEUED_TTL_MS = 3_600_000;

interface Cause {
  code?: string;
  reason?: string;
  died_at_ms?: number;
}

/** The dead letters of an inbox directory: what is in its `dead/`. */
export class DeadLetterDirectory implements DeadLetterPlace {
  readonly place = 'shared-volume';
  readonly #directory: string;
  readonly #maildir: Maildir;
  readonly #writer = new DurableWriter();

  constructor(directory: string) {
    this.#directory = directory;
    this.#maildir = new Maildir(directory);
  }

  /**
   * The oldest messages.
   * @throws MembraneError `store_unavailable`
   */
  list({ limit }: { limit: number }): Promise<DeadLetterInfo[]> {
    return this.#guard(async () => {
      const letters: DeadLetterInfo[] = [];
      for (const name of await this.#names()) {
        if (letters.length >= limit) break;
        const envelope = this.#read(name);
        if (envelope !== 'gone') letters.push(await this.#describe(name, envelope));
      }
      return letters;
    });
  }

  /** Those that are no messages stay where they are. They go out under no session: nothing there knows their sequence. */
  requeue({ messageIds }: DeadLetterChange = {}): Promise<number> {
    return this.#change(messageIds, async (name, envelope) => {
      if (envelope === undefined) return false;
      const waiting = messageFileName(envelope);
      await this.#writer.place(
        {
          temporary: join(this.#maildir.temporary, `${waiting}.${randomBytes(6).toString('hex')}`),
          path: join(this.#maildir.waiting, waiting),
          directory: this.#maildir.waiting,
        },
        JSON.stringify(revive(envelope)),
      );
      await this.#maildir.discardDead(name);
      return true;
    });
  }

  discard({ messageIds }: DeadLetterChange = {}): Promise<number> {
    return this.#change(messageIds, async (name) => {
      await this.#maildir.discardDead(name);
      return true;
    });
  }

  /** What cannot be done with one letter keeps nothing from the others; it is told when all were seen to. */
  #change(
    messageIds: readonly string[] | undefined,
    work: (name: string, envelope: KnownEnvelope | undefined) => Promise<boolean>,
  ): Promise<number> {
    const chosen = messageIds === undefined ? undefined : new Set(messageIds);
    return this.#guard(async () => {
      let count = 0;
      const failures: { name: string; error: unknown }[] = [];
      for (const name of await this.#names()) {
        const envelope = this.#read(name);
        if (envelope === 'gone' || chosen?.has(envelope?.id ?? name) === false) continue;
        try {
          if (await work(name, envelope)) count += 1;
        } catch (error) {
          failures.push({ name, error });
        }
      }
      const [first] = failures;
      if (first === undefined) return count;
      throw new MembraneError(
        'store_unavailable',
        `${failures.length} of ${count + failures.length} dead letters in ${this.#directory} stay as they are; ${first.name}: ${(first.error as Error).message}`,
        { cause: first.error },
      );
    });
  }

  async #names(): Promise<string[]> {
    try {
      const names = await readdir(this.#maildir.dead);
      return names.filter((name) => !name.endsWith(CAUSE_SUFFIX)).sort();
    } catch (error) {
      // Nobody has received anything there yet.
      if (isMissing(error)) return [];
      throw error;
    }
  }

  #read(name: string): KnownEnvelope | undefined | 'gone' {
    try {
      return tryReadEnvelope(name, readMessageFile(join(this.#maildir.dead, name), LIMITS.maxMessageBytes));
    } catch (error) {
      if (isMembraneError(error)) return undefined;
      if (isMissing(error)) return 'gone';
      throw error;
    }
  }

  async #describe(name: string, envelope: KnownEnvelope | undefined): Promise<DeadLetterInfo> {
    const text = await readFile(join(this.#maildir.dead, name + CAUSE_SUFFIX), 'utf8').catch(() => '');
    const { code, reason, died_at_ms: diedAtMs } = parseCause(text);
    return {
      place: this.place,
      messageId: envelope?.id ?? name,
      code: code ?? 'internal_error',
      reason: reason ?? 'nobody could write down why',
      diedAtMs: diedAtMs ?? (envelope?.timestamp ?? 0) * 1_000,
      envelope,
    };
  }

  #guard<Value>(work: () => Promise<Value>): Promise<Value> {
    return guardFiles(`the inbox ${this.#directory}`, work);
  }
}

function revive(envelope: KnownEnvelope): KnownEnvelope {
  const again: KnownEnvelope = { ...envelope };
  delete again.session;
  delete again.sequence;
  delete again.floor;
  again.timestamp = Date.now() / 1_000;
  again.ttl_ms = REQUEUED_TTL_MS;
  again.attempt = (envelope.attempt ?? 1) + 1;
  return again;
}

function parseCause(text: string): Cause {
  try {
    return JSON.parse(text) as Cause;
  } catch {
    return {};
  }
}
