import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { isMissing, replaceFileSync } from './durable-files.js';

/** Sequences that one write reserves: more of them cost fewer writes, and a wider gap after a crash. */
export const SEQUENCE_BLOCK = 1_000;

/** Streams whose last sequence is remembered; one that is used again later goes on with a gap. */
const MAX_COUNTERS = 10_000;

/** By so much the time is noted later than need be until which messages lie somewhere: so one write serves many. */
const KEPT_MARGIN_MS = 60_000;

const LEDGER_FILE = 'session.json';

/** What earlier runs may have left with places that keep messages. */
export interface EarlierRuns {
  /** No sequence of theirs is above. */
  readonly highest: number;
  /** Epoch milliseconds: then the time of all of it is over. */
  readonly untilMs: number;
}

/**
 * The session of an outbox and its sequences, which go on after a restart: so receivers know what they handled before.
 * No sequence is given twice: a mark above all that were given is durable before the first of them is. After a crash
 * the sequences begin at the mark; nobody need wait for those between (`floor`).
 */
export class SequenceLedger {
  readonly session: string;
  readonly earlier: EarlierRuns;
  readonly #path: string;
  readonly #counters: LRUCache<string, number>;
  /** Where a stream without a counter begins. */
  #base: number;
  #highest: number;
  #reserved: number;
  #keptUntilMs: number;

  /** @param directory of which the caller has the lock. Where its file is missing or broken, a new session begins. */
  constructor(directory: string) {
    this.#path = join(directory, LEDGER_FILE);
    const stored = read(this.#path);
    this.session = stored?.session ?? randomUUID();
    this.#base = this.#highest = this.#reserved = stored?.reserved ?? 0;
    this.#keptUntilMs = stored?.keptUntilMs ?? 0;
    this.earlier = { highest: this.#base, untilMs: this.#keptUntilMs };
    this.#counters = new LRUCache({
      max: MAX_COUNTERS,
      dispose: (last, _, reason) => {
        if (reason === 'evict') this.#base = Math.max(this.#base, last);
      },
    });
    if (stored === undefined) this.#write(0);
  }

  /** The next one for a target and a stream, or for those to the target without a stream; at least 1. */
  next(target: string, stream?: string): number {
    // No id has a space.
    const key = stream === undefined ? target : `${target} ${stream}`;
    const sequence = (this.#counters.get(key) ?? this.#base) + 1;
    if (sequence > this.#reserved) this.#write(sequence - 1 + SEQUENCE_BLOCK);
    this.#counters.set(key, sequence);
    this.#highest = Math.max(this.#highest, sequence);
    return sequence;
  }

  /** A message of a stream lies somewhere, until this time at most (epoch milliseconds). Durable when it returns. */
  noteKept(untilMs: number): void {
    if (untilMs <= this.#keptUntilMs) return;
    const before = this.#keptUntilMs;
    this.#keptUntilMs = untilMs + KEPT_MARGIN_MS;
    try {
      this.#write(this.#reserved);
    } catch (error) {
      this.#keptUntilMs = before;
      throw error;
    }
  }

  /** Gives back what was reserved and not used. */
  close(): void {
    if (this.#reserved > this.#highest) this.#write(this.#highest);
  }

  #write(reserved: number): void {
    const content = JSON.stringify({
      session: this.session,
      reserved,
      kept_until_ms: this.#keptUntilMs,
    });
    replaceFileSync(this.#path, `${this.#path}.tmp`, content);
    this.#reserved = reserved;
  }
}

function read(path: string): { session: string; reserved: number; keptUntilMs: number } | undefined {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const { session, reserved, kept_until_ms: kept } = JSON.parse(content) as Record<string, unknown>;
    if (typeof session !== 'string' || session === '' || !Number.isSafeInteger(reserved)) return undefined;
    const keptUntilMs = typeof kept === 'number' ? kept : 0;
    return { session, reserved: Math.max(0, reserved as number), keptUntilMs };
  } catch {
    return undefined;
  }
}
