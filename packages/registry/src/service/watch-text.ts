import type { WatchResetReason } from '@membrane/protocol';
import type { EventDraft } from '../domain/change.js';
import { toEvent } from '../domain/membrane-query.js';

/** Texts kept for watchers that are told of the same events, one soon after the other. */
const MAX_CACHED_BYTES = 8 * 1024 * 1024;

/** Closes an event that has no id. */
export const END_OF_EVENT = Buffer.from('\n');

/** Events as they are sent (server-sent events), each made once whatever the number of watchers. */
export class WatchText {
  readonly #logId: () => string;
  readonly #cached = new Map<EventDraft, Buffer>();
  #cachedBytes = 0;
  #end: { readonly revision: number; readonly text: Buffer } | undefined;

  constructor(logId: () => string) {
    this.#logId = logId;
  }

  /** How long a client that lost its connection waits before it comes back. */
  retry(ms: number): Buffer {
    return Buffer.from(`retry: ${Math.round(ms)}\n\n`);
  }

  /** Without its end: `END_OF_EVENT`, or the id of its batch, is to follow. */
  event(event: EventDraft, revision: number, atMs: number): Buffer {
    const cached = this.#cached.get(event);
    if (cached !== undefined) return cached;
    const text = this.arrival(event, revision, atMs);
    this.#cached.set(event, text);
    this.#cachedBytes += text.length;
    for (const [oldest, { length }] of this.#cached) {
      if (this.#cachedBytes <= MAX_CACHED_BYTES) break;
      this.#cached.delete(oldest);
      this.#cachedBytes -= length;
    }
    return text;
  }

  /** The same for an event that is in no log, so that it comes once. */
  arrival(event: EventDraft, revision: number, atMs: number): Buffer {
    return toText(event.event, toEvent({ ...event, revision, atMs }));
  }

  /** Closes a batch: where its receiver may go on. */
  endOfBatch(revision: number): Buffer {
    // Every feed asks for the same.
    if (this.#end?.revision !== revision) {
      this.#end = { revision, text: Buffer.from(`id: ${this.#logId()}:${revision}\n\n`) };
    }
    return this.#end.text;
  }

  bookmark(revision: number): Buffer {
    const text = toText('bookmark', { revision, event: 'bookmark' });
    return Buffer.concat([text, this.endOfBatch(revision)]);
  }

  reset(revision: number, reason: WatchResetReason): Buffer {
    return Buffer.concat([toText('reset', { revision, event: 'reset', reason }), this.endOfBatch(revision)]);
  }
}

/** JSON has no line breaks outside of its strings, and none in them. */
function toText(name: string, data: object): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n`);
}
