import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MembraneError } from '@membrane/protocol';
import type { OutboxDeadDirectory } from './outbox-dead-directory.js';
import { parseFileName } from './outbox-entry.js';
import { MAX_FILES_AT_ONCE, Slots } from './slots.js';

/** A file of an outbox. */
export interface WaitingMessage {
  readonly name: string;
  readonly bytes: number;
  /** Settles when it is durable. */
  readonly written: Promise<void>;
  /** Left by an earlier process. */
  readonly isLeft: boolean;
}

export interface LeftMessages {
  readonly waiting: Map<string, WaitingMessage>;
  readonly bytes: number;
  /** The highest so far. */
  readonly order: number;
}

/**
 * What an earlier process left in `new/`. Files of other names are buried; of two with one id, the later counts.
 */
export async function findLeft(directory: string, dead: OutboxDeadDirectory): Promise<LeftMessages> {
  const files = new Slots(MAX_FILES_AT_ONCE);
  const waiting = new Map<string, WaitingMessage>();
  let bytes = 0;
  let order = 0;
  for (const name of dead.names) order = Math.max(order, parseFileName(name)?.order ?? 0);
  const names = (await readdir(directory)).sort();
  const sizes = await Promise.all(names.map((name) => files.run(() => stat(join(directory, name)))));
  for (const [index, name] of names.entries()) {
    const parsed = parseFileName(name);
    if (parsed === undefined) {
      await dead.take(
        join(directory, name),
        name,
        new MembraneError('invalid_request', 'no file of an outbox'),
      );
      continue;
    }
    const size = sizes[index]?.size ?? 0;
    const earlier = waiting.get(parsed.messageId);
    // That one was settled before the id was used again, and the process ended before it was removed.
    if (earlier !== undefined) {
      await rm(join(directory, earlier.name));
      bytes -= earlier.bytes;
      waiting.delete(parsed.messageId);
    }
    waiting.set(parsed.messageId, { name, bytes: size, written: Promise.resolve(), isLeft: true });
    bytes += size;
    order = Math.max(order, parsed.order);
  }
  // Those were put back, and the process ended before they were removed here.
  for (const name of dead.names) {
    if (waiting.has(parseFileName(name)?.messageId ?? '')) await dead.remove(name);
  }
  return { waiting, bytes, order };
}
