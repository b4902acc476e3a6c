import { setTimeout as sleep } from 'node:timers/promises';
import type { ListFilter, NamespaceClient } from '@membrane/client';
import { abortWhenTold } from './abort-when-told.js';
import { followChanges } from './follow-changes.js';
import { ListPrinter } from './list-printer.js';
import { OutageWords } from './outage-words.js';
import type { Output } from './output.js';
import { isReaderGone } from './reader-gone.js';

/** Between two readings of the list, while much changes. */
const READING_GAP_MS = 500;

/**
 * Prints the membranes that fit, and then those that have changed, whenever something changes, until the command is
 * ended. The list is read anew, so that who fits is for the registry to say; what comes and goes between two readings
 * is not seen.
 */
export async function watchList(
  client: NamespaceClient,
  filter: ListFilter,
  { json, output }: { json: boolean; output: Output },
): Promise<void> {
  const ended = new AbortController();
  abortWhenTold(ended);
  const { signal } = ended;
  const outage = new OutageWords(output);
  const printer = new ListPrinter(output, { json });
  let isOutdated = false;
  let isReading = false;
  let reading: Promise<void> | undefined;
  let failure: Error | undefined;

  const read = async (): Promise<void> => {
    isOutdated = false;
    try {
      const membranes = await client.listMembranes(filter, { signal });
      outage.answered(client.registry.url);
      await printer.print(membranes);
    } catch (error) {
      if (!isPassing(error)) throw error;
      outage.failed(error);
      isOutdated = true;
    }
  };
  const readWhileOutdated = async (): Promise<void> => {
    isReading = true;
    try {
      while (isOutdated && !signal.aborted) {
        await read();
        await sleep(READING_GAP_MS, undefined, { signal });
      }
    } catch (error) {
      if (error instanceof Error && !signal.aborted && !isReaderGone(error)) failure = error;
      ended.abort();
    } finally {
      isReading = false;
    }
  };
  const refresh = (): void => {
    isOutdated = true;
    if (!isReading) reading = readWhileOutdated();
  };
  await followChanges(client, { ended, outage, onOpen: refresh }, refresh);
  await reading;
  if (failure !== undefined) throw failure;
}

function isPassing(error: unknown): error is Error {
  return error instanceof Error && 'retryable' in error && error.retryable === true;
}
