import type { MembraneError, NamespaceClient, WatchedEvent, WatchFilter, WatchReset } from '@membrane/client';
import type { OutageWords } from './outage-words.js';
import type { Output } from './output.js';
import { isReaderGone } from './reader-gone.js';

export interface FollowOptions extends WatchFilter {
  /** After which revision; from now on unless given. */
  readonly since?: string | undefined;
  /** Ends it; aborted also by what ends it otherwise. */
  readonly ended: AbortController;
  readonly outage: OutageWords;
  /** A registry was there a moment ago: one that is not there now is waited for from the beginning. */
  readonly hasAnswered?: boolean;
  /** A registry tells of changes, for the first time or again. */
  readonly onOpen?: () => void;
}

/**
 * Hands every change on, one after the other, until the command is ended, or nobody reads what it prints. A registry
 * that is lost is waited for; one that is not there to begin with is an error.
 * @throws MembraneError `registry_unreachable`, `invalid_request`, and whatever else the first try meets.
 */
export async function followChanges(
  client: NamespaceClient,
  { ended, outage, onOpen, hasAnswered = false, ...filter }: FollowOptions,
  handle: (change: WatchedEvent) => Promise<void> | void,
): Promise<void> {
  let hasBegun = hasAnswered;
  let refusal: MembraneError | undefined;
  const changes = client.watch({
    ...filter,
    signal: ended.signal,
    onOpen: () => {
      hasBegun = true;
      outage.answered(client.registry.url);
      onOpen?.();
    },
    onFailure: (error) => {
      if (hasBegun) {
        outage.failed(error);
      } else {
        refusal = error;
        ended.abort();
      }
    },
  });
  try {
    for await (const change of changes) await handle(change);
  } catch (error) {
    if (!isReaderGone(error)) throw error;
  } finally {
    ended.abort();
  }
  if (refusal !== undefined) throw refusal;
}

const RESET_REASONS: Readonly<Record<string, string>> = {
  too_old: 'the log of the registry does not go back that far',
  too_slow: 'they were not read as fast as they came',
  other_log: 'the registry is another one, or has lost its data',
};

/** Says on standard error that a watch has missed something. */
export function sayReset({ reason }: WatchReset, output: Output): void {
  const why = RESET_REASONS[reason] ?? reason;
  output.say(`membrane: changes were missed: ${why}; \`membrane list\` shows who is there now`);
}
